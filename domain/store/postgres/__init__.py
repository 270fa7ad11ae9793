"""PostgreSQL as the database of a ledger, with psycopg (extra `postgres`)."""
