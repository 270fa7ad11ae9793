"""SQLite as the database of a ledger."""
