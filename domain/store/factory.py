"""Opens the SQLite or PostgreSQL database of a URL."""

from domain.store.database import POSTGRES_PREFIXES, SQLITE_PREFIX, Database, DatabaseLocation
from domain.store.sqlite.connections import SqliteConnections
from domain.store.sqlite.presence import require_ledger_file


def require_place(location: DatabaseLocation, *, may_create: bool) -> None:
    """Checks a file of SQLite before it is opened. Raises NoLedger, SchemaMismatch. A database of PostgreSQL needs no check."""
    if not location.url.startswith(POSTGRES_PREFIXES):
        require_ledger_file(location.url.removeprefix(SQLITE_PREFIX), may_create=may_create)


def open_database(location: DatabaseLocation) -> Database:
    if location.url.startswith(POSTGRES_PREFIXES):
        from domain.store.postgres.connections import PostgresConnections

        return PostgresConnections(location)
    return SqliteConnections(location.url.removeprefix(SQLITE_PREFIX))
