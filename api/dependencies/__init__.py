"""Request-scoped dependencies: the caller, and the database that answers a read."""
