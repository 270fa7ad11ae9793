"""How is SQLite spoken to: how are its connections opened, its transactions begun and ended, and what does it say in its own way?

Not by the library's pool: there a writer that waits for another one makes every reader wait behind it, and closing it
pulls connections away from threads that are using them.
"""

import re
import sqlite3
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime
from threading import Lock
from time import sleep
from typing import Any, Self

from eventsourcing.persistence import InterfaceError, OperationalError

from domain.store.cursor import Cursor, MissingTable
from domain.store.database import POLL_INTERVAL_SECONDS, CommitNotifications
from domain.store.errors import library_error
from domain.store.schema import NEWEST_POSITION, UNLOGGED_TABLES, VERSIONS, require_versions
from domain.store.sqlite.dialect import SQLITE, SQLITE_LEDGER_VIEW
from domain.values import Scope

SQLITE_LOCK_TIMEOUT_SECONDS = 60.0
PAGE_BYTES = 8192
CACHED_STATEMENTS = 256
MAX_IDLE = 8
LEASES_SUFFIX = "-leases"


class SqliteCursor(sqlite3.Cursor):
    dialect = SQLITE

    def execute_set(self, statement: str, rows: Iterable[Sequence[Any]], /) -> Self:
        return self.executemany(statement, rows)

    def now(self) -> datetime:
        return datetime.now(UTC)

    def each(self, sql: str, parameters: Sequence[Any] = (), /) -> Iterator[Any]:
        return iter(self.execute(sql, parameters))


class PollingNotifications:
    """Nobody tells anything: it is always time to look."""

    def wait(self, _is_over: Callable[[], bool]) -> bool:
        sleep(POLL_INTERVAL_SECONDS)
        return True

    def missed(self) -> None:
        """There is nothing to listen to."""

    def close(self) -> None:
        """There is nothing to close."""


class SqliteConnections:
    """Any number of readers and one writer at a time, of this process; SQLite's lock sees to the other processes."""

    dialect = SQLITE

    def __init__(self, database: str) -> None:
        self.database = database
        self._beside: SqliteConnections | None = None
        self._idle: deque[sqlite3.Connection] = deque()
        self._writer = Lock()
        self._closed = False

    def create_statements(self, tables: Sequence[str]) -> Sequence[str]:
        return [*tables, SQLITE_LEDGER_VIEW]

    @contextmanager
    def write(self, after: Scope | None = None) -> Iterator[Cursor]:  # noqa: ARG002 - nobody else is storing anything then
        with self.schema_change() as tx:
            require_versions(tx.execute(VERSIONS).fetchall())
            yield tx

    @contextmanager
    def schema_change(self) -> Iterator[Cursor]:
        """A transaction that holds the write lock from its start and commits at its end; rolls back on any error."""
        if not self._writer.acquire(timeout=SQLITE_LOCK_TIMEOUT_SECONDS):
            raise OperationalError("Other writers have held the ledger for too long")
        try:
            with self._transaction("BEGIN IMMEDIATE", "COMMIT") as cursor:
                yield cursor
        finally:
            self._writer.release()

    def bulk_write(self, scope: Scope | None = None) -> AbstractContextManager[Cursor]:
        """There is one lock for all that is written."""
        return self.write(scope)

    def exclusive_write(self) -> AbstractContextManager[Cursor]:
        return self.write()

    @contextmanager
    def read(self) -> Iterator[Cursor]:
        with self.read_any_schema() as tx:
            require_versions(tx.execute(VERSIONS).fetchall())
            yield tx

    @contextmanager
    def read_any_schema(self) -> Iterator[Cursor]:
        """A transaction that sees one snapshot and keeps nothing."""
        with self._transaction("BEGIN", "ROLLBACK") as cursor:
            yield cursor

    @contextmanager
    def heartbeat_write(self) -> Iterator[Cursor]:
        """In a small database of its own (`…-leases`): the ledger has one lock for all that is written to it."""
        if self._beside is None:
            leases = SqliteConnections(self.database + LEASES_SUFFIX)
            with leases.schema_change() as tx:
                for table in UNLOGGED_TABLES:
                    tx.execute(table)
            self._beside = leases
        with self._beside.schema_change() as tx:
            yield tx

    def terminate_scope_writer(self, _scope: Scope) -> int:
        return 0

    def terminate_stalled_writers(self) -> int:
        """Processes of one machine: whoever stands still there, is seen there."""
        return 0

    def newest_position(self) -> int:
        with self.read_any_schema() as tx:
            return int(tx.execute(NEWEST_POSITION).fetchone()["position"])

    def notifications(self) -> CommitNotifications:
        return PollingNotifications()

    def close(self) -> None:
        """Connections that are in use end when they are given back."""
        if self._beside is not None:
            self._beside.close()
        self._closed = True
        while self._idle:
            self._idle.pop().close()

    @contextmanager
    def _transaction(self, begin: str, end: str) -> Iterator[Cursor]:
        with _library_errors():
            connection = self._take()
            try:
                connection.execute(begin)
                yield connection.cursor(SqliteCursor)
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
            timeout=SQLITE_LOCK_TIMEOUT_SECONDS,
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
        if missing := re.match(r"no such table: (?:main\.)?(\w+)", str(error)):
            raise MissingTable(missing[1], str(error)) from error
        raise library_error(sqlite3, error, str(error)) from error
