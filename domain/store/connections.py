"""How are connections to SQLite opened, and transactions begun and ended?

Not by the library's pool: there a writer that waits for another one makes every reader wait behind it, and closing it
pulls connections away from threads that are using them.
"""

import sqlite3
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

from eventsourcing.persistence import (
    DatabaseError,
    DataError,
    IntegrityError,
    InterfaceError,
    InternalError,
    NotSupportedError,
    OperationalError,
    PersistenceError,
    ProgrammingError,
)

LOCK_TIMEOUT_SECONDS = 60.0
PAGE_BYTES = 8192
CACHED_STATEMENTS = 256
MAX_IDLE = 8

# The library's names for what PEP 249 names; the most special first.
_ERRORS: tuple[tuple[type[sqlite3.Error], type[PersistenceError]], ...] = (
    (sqlite3.IntegrityError, IntegrityError),
    (sqlite3.OperationalError, OperationalError),
    (sqlite3.DataError, DataError),
    (sqlite3.InternalError, InternalError),
    (sqlite3.ProgrammingError, ProgrammingError),
    (sqlite3.NotSupportedError, NotSupportedError),
    (sqlite3.DatabaseError, DatabaseError),
    (sqlite3.InterfaceError, InterfaceError),
    (sqlite3.Error, PersistenceError),
)


class Connections:
    """Any number of readers and one writer at a time, of this process; SQLite's lock sees to the other processes."""

    def __init__(self, database: str) -> None:
        self.database = database
        self._idle: deque[sqlite3.Connection] = deque()
        self._writer = Lock()
        self._closed = False

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Cursor]:
        """A transaction that holds the write lock from its start and commits at its end; rolls back on any error."""
        if not self._writer.acquire(timeout=LOCK_TIMEOUT_SECONDS):
            raise OperationalError("Other writers have held the ledger for too long")
        try:
            with self._transaction("BEGIN IMMEDIATE", "COMMIT") as cursor:
                yield cursor
        finally:
            self._writer.release()

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Cursor]:
        """A transaction that sees one snapshot and keeps nothing."""
        with self._transaction("BEGIN", "ROLLBACK") as cursor:
            yield cursor

    def close(self) -> None:
        """Connections that are in use end when they are given back."""
        self._closed = True
        while self._idle:
            self._idle.pop().close()

    @contextmanager
    def _transaction(self, begin: str, end: str) -> Iterator[sqlite3.Cursor]:
        with _library_errors():
            connection = self._take()
            try:
                connection.execute(begin)
                yield connection.cursor()
                connection.execute(end)
            finally:
                if connection.in_transaction:
                    connection.rollback()
                self._give_back(connection)

    def _take(self) -> sqlite3.Connection:
        if self._closed:
            raise InterfaceError("The ledger has been closed")
        try:
            return self._idle.pop()
        except IndexError:
            return self._open()

    def _give_back(self, connection: sqlite3.Connection) -> None:
        if self._closed or len(self._idle) >= MAX_IDLE:
            connection.close()
            return
        self._idle.append(connection)
        if self._closed:  # meanwhile
            self.close()

    def _open(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self.database,
            check_same_thread=False,
            isolation_level=None,
            cached_statements=CACHED_STATEMENTS,
            timeout=LOCK_TIMEOUT_SECONDS,
        )
        connection.row_factory = sqlite3.Row
        try:
            for pragma in (f"page_size={PAGE_BYTES}", "journal_mode=WAL", "synchronous=FULL"):
                connection.execute(f"PRAGMA {pragma}")
        except sqlite3.Error:
            connection.close()
            raise
        return connection


@contextmanager
def _library_errors() -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raised = next(theirs for ours, theirs in _ERRORS if isinstance(error, ours))
        raise raised(str(error)) from error
