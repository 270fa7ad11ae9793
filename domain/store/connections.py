"""How are connections to SQLite opened, and transactions begun and ended?"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from eventsourcing.persistence import OperationalError
from eventsourcing.sqlite import (
    SQLiteConnection,
    SQLiteConnectionPool,
    SQLiteCursor,
    SQLiteDatastore,
    SQLiteTransaction,
)

LOCK_TIMEOUT_SECONDS = 60
PAGE_BYTES = 8192
CACHED_STATEMENTS = 256


class LedgerTransaction(SQLiteTransaction):
    """Takes the write lock at once when it means to write: a lock taken later can fail half-way."""

    def __enter__(self) -> SQLiteCursor:
        cursor = self.connection.cursor()
        try:
            cursor.execute("BEGIN IMMEDIATE" if self.commit else "BEGIN")
        except sqlite3.OperationalError as error:
            raise OperationalError(error) from error
        return cursor


class LedgerConnection(SQLiteConnection):
    @contextmanager
    def transaction(self, *, commit: bool) -> Iterator[sqlite3.Cursor]:  # type: ignore[override]
        """Gives the driver's own cursor: the library's wrapper around it answers nothing from `execute`."""
        with LedgerTransaction(self, commit=commit) as wrapped, wrapped as cursor:
            yield cursor


class LedgerConnectionPool(SQLiteConnectionPool):
    def _create_connection(self) -> SQLiteConnection:
        connection = sqlite3.connect(
            self.db_name,
            uri=self.db_name.startswith("file:"),
            check_same_thread=False,
            isolation_level=None,
            cached_statements=CACHED_STATEMENTS,
            timeout=LOCK_TIMEOUT_SECONDS,
        )
        connection.row_factory = sqlite3.Row
        for pragma in (f"page_size={PAGE_BYTES}", "journal_mode=WAL", "synchronous=FULL", "temp_store=FILE"):
            connection.execute(f"PRAGMA {pragma}")
        return LedgerConnection(connection, max_age=self.max_age)


class LedgerDatastore(SQLiteDatastore):
    def __init__(self, db_name: str) -> None:
        super().__init__(db_name)
        self.pool = LedgerConnectionPool(db_name=db_name, pool_timeout=LOCK_TIMEOUT_SECONDS)
