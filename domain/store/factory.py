"""Opens the SQLite or PostgreSQL database of a URL."""

from domain.store.database import POSTGRES_PREFIXES, SQLITE_PREFIX, Database, DatabaseLocation
from domain.store.sqlite.connections import SqliteConnections


def open_database(location: DatabaseLocation) -> Database:
    if location.url.startswith(POSTGRES_PREFIXES):
        from domain.store.postgres.connections import PostgresConnections

        return PostgresConnections(location)
    return SqliteConnections(location.url.removeprefix(SQLITE_PREFIX))
