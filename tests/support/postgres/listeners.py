"""Who listens to a ledger in PostgreSQL, and how does that end?"""

import psycopg

from api.settings import Settings


def listeners(settings: Settings) -> list[int]:
    """The connections that listen to this ledger."""
    listening = "SELECT pid FROM pg_stat_activity WHERE query = %s"
    with psycopg.connect(settings.database_url, autocommit=True) as connection:
        return [pid for (pid,) in connection.execute(listening, [f'LISTEN "{settings.database_schema}"'])]


def end(settings: Settings, pids: list[int]) -> None:
    with psycopg.connect(settings.database_url, autocommit=True) as connection:
        for pid in pids:
            connection.execute("SELECT pg_terminate_backend(%s)", [pid])
