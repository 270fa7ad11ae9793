"""Opens the database that a URL names."""

from domain.store.database import POSTGRES_PREFIXES, SQLITE_PREFIX, Database, DatabaseLocation


def open_database(place: DatabaseLocation) -> Database:
    if place.url.startswith(POSTGRES_PREFIXES):
        from domain.store.postgres.connections import PostgresConnections  # noqa: PLC0415 - an extra

        return PostgresConnections(place)
    from domain.store.sqlite.connections import SqliteConnections  # noqa: PLC0415 - the same for all

    return SqliteConnections(place.url.removeprefix(SQLITE_PREFIX))
