"""Finds and terminates the PostgreSQL connections that listen for commits of a ledger."""

import psycopg

from api.settings import Settings


def listeners(settings: Settings) -> list[int]:
    """Returns the process ids of the connections that listen to this ledger."""
    query = "SELECT pid FROM pg_stat_activity WHERE query = %s"
    with psycopg.connect(settings.database_url, autocommit=True) as connection:
        return [pid for (pid,) in connection.execute(query, [f'LISTEN "{settings.database_schema}"'])]


def terminate(settings: Settings, pids: list[int]) -> None:
    with psycopg.connect(settings.database_url, autocommit=True) as connection:
        for pid in pids:
            connection.execute("SELECT pg_terminate_backend(%s)", [pid])
