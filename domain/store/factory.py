"""Opens the database that a URL names."""

from domain.store.database import POSTGRES_PREFIXES, SQLITE_PREFIX, Database, Place


def open_database(place: Place) -> Database:
    if place.url.startswith(POSTGRES_PREFIXES):
        from domain.store.postgres.connections import PostgresConnections  # noqa: PLC0415 - an extra

        return PostgresConnections(place)
    from domain.store.sqlite.connections import Connections  # noqa: PLC0415 - the same for all

    return Connections(place.url.removeprefix(SQLITE_PREFIX))
