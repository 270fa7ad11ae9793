"""Connections and transactions of a ledger in SQLite.

It does not use the eventsourcing library's pool. In that pool, a waiting writer blocks all readers, and closing the pool closes
connections that other threads are using.
"""

import re
import sqlite3
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from threading import Lock
from time import sleep
from typing import Any, Self

from eventsourcing.persistence import InterfaceError, OperationalError

from domain.store.cursor import Cursor, MissingTable
from domain.store.database import POLL_INTERVAL_SECONDS, CommitNotifications, StorageCheck
from domain.store.errors import DamagedStorage, library_error
from domain.store.schema import SELECT_NEWEST_POSITION, SELECT_SCHEMA_VERSION, UNLOGGED_TABLES, require_version_rows
from domain.store.sqlite.dialect import SQLITE, SQLITE_LEDGER_VIEW
from domain.store.sqlite.files import LEASES_SUFFIX, file_identity, make_private
from domain.store.sqlite.integrity import check_pages
from domain.values import Scope

SQLITE_LOCK_TIMEOUT_SECONDS = 60.0
PAGE_BYTES = 8192
CACHED_STATEMENTS = 256
MAX_IDLE = 8


class SqliteCursor(sqlite3.Cursor):
    """Cursor of a SQLite connection with the operations of domain.store.cursor.Cursor."""

    dialect = SQLITE

    def execute_set(self, statement: str, rows: Iterable[Sequence[Any]], /) -> Self:
        return self.executemany(statement, rows)

    def now(self) -> datetime:
        return datetime.now(UTC)

    def stream_rows(self, sql: str, parameters: Sequence[Any] = (), /) -> Iterator[Any]:
        return iter(self.execute(sql, parameters))


class PollingNotifications:
    """Polling instead of notifications, because SQLite has none."""

    def wait(self, _is_over: Callable[[], bool]) -> bool:
        sleep(POLL_INTERVAL_SECONDS)
        return True

    def report_missed(self) -> None:
        """No-op: the caller polls in any case."""

    def close(self) -> None:
        """No-op."""


class SqliteConnections:
    """Transactions of any number of readers and one writer. A lock orders the writers of this process, and SQLite's those of all."""

    dialect = SQLITE

    def __init__(self, database: str) -> None:
        self.database = database
        self._leases: SqliteConnections | None = None
        self._idle: deque[sqlite3.Connection] = deque()
        self._writer = Lock()
        self._closed = False
        self._is_private = False

    def create_statements(self, tables: Sequence[str]) -> Sequence[str]:
        return [*tables, SQLITE_LEDGER_VIEW]

    @contextmanager
    def write(self, after: Scope | None = None) -> Iterator[Cursor]:  # noqa: ARG002 - the one write lock excludes bulk writes
        with self.schema_change() as tx:
            require_version_rows(tx.execute(SELECT_SCHEMA_VERSION).fetchall())
            yield tx

    @contextmanager
    def schema_change(self) -> Iterator[Cursor]:
        """Opens a transaction that holds the write lock from its start and commits at its end; rolls back on any error."""
        if not self._writer.acquire(timeout=SQLITE_LOCK_TIMEOUT_SECONDS):
            raise OperationalError(
                f"Other writers have held the ledger lock for {SQLITE_LOCK_TIMEOUT_SECONDS:.0f} seconds"
            )
        try:
            with self._transaction("BEGIN IMMEDIATE", "COMMIT") as cursor:
                yield cursor
        finally:
            self._writer.release()

    def bulk_write(self, scope: Scope | None = None) -> AbstractContextManager[Cursor]:
        """Opens a write transaction: SQLite has only one write lock, so it blocks all other writers from its start."""
        return self.write(scope)

    def exclusive_write(self) -> AbstractContextManager[Cursor]:
        return self.write()

    @contextmanager
    def read(self) -> Iterator[Cursor]:
        with self.read_any_schema() as tx:
            require_version_rows(tx.execute(SELECT_SCHEMA_VERSION).fetchall())
            yield tx

    @contextmanager
    def read_any_schema(self) -> Iterator[Cursor]:
        """Opens a read-only transaction without the check of the schema version. It is rolled back at its end."""
        with self._transaction("BEGIN", "ROLLBACK") as cursor:
            yield cursor

    @contextmanager
    def heartbeat_write(self) -> Iterator[Cursor]:
        """Opens a transaction in a separate small database (`…-leases`), because the ledger has only one write lock."""
        if self._leases is None:
            leases = SqliteConnections(self.database + LEASES_SUFFIX)
            with leases.schema_change() as tx:
                for table in UNLOGGED_TABLES:
                    tx.execute(table)
            self._leases = leases
        with self._leases.schema_change() as tx:
            yield tx

    def terminate_scope_writer(self, _scope: Scope) -> int:
        return 0

    def terminate_stalled_writers(self) -> int:
        """Terminates nothing: all processes run on one machine, where the operator can see a stalled one."""
        return 0

    def check_storage(self) -> StorageCheck:
        return check_pages(self.read_any_schema)

    def newest_position(self) -> int:
        with self.read_any_schema() as tx:
            return int(tx.execute(SELECT_NEWEST_POSITION).fetchone()["position"])

    def notifications(self) -> CommitNotifications:
        return PollingNotifications()

    def place(self) -> str:
        return f"the file {Path(self.database).absolute()}"

    def other_ledgers(self) -> list[str]:
        return []

    def close(self) -> None:
        """Closes idle connections; those in use are closed when they are returned."""
        if self._leases is not None:
            self._leases.close()
        self._closed = True
        while self._idle:
            self._idle.pop().close()

    @contextmanager
    def _transaction(self, begin: str, end: str) -> Iterator[Cursor]:
        with translate_sqlite_errors():
            connection = self._acquire()
            try:
                connection.execute(begin)
                yield connection.cursor(SqliteCursor)
                connection.execute(end)
            finally:
                if connection.in_transaction:
                    connection.rollback()
                self._release(connection)

    def _acquire(self) -> sqlite3.Connection:
        if self._closed:
            raise InterfaceError("The ledger is closed")
        try:
            return self._idle.pop()
        except IndexError:
            return self._open()

    def _release(self, connection: sqlite3.Connection) -> None:
        if self._closed or len(self._idle) >= MAX_IDLE:
            connection.close()
            return
        self._idle.append(connection)
        if self._closed:  # by another thread, after the check above
            self.close()

    def _open(self) -> sqlite3.Connection:
        """Opens the file that has the ledger's name. `restore` can replace it while SQLite waits for the old file's lock."""
        if not self._is_private:
            make_private(self.database)
            self._is_private = True
        while True:
            before = file_identity(self.database)
            try:
                connection = self._connect()
            except sqlite3.Error:
                if file_identity(self.database) == before:
                    raise
                continue
            if file_identity(self.database) == before:
                return connection
            connection.close()

    def _connect(self) -> sqlite3.Connection:
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


_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
_NOT_UTF8 = "Could not decode to UTF-8"
"""The start of the driver's message about a text that is not valid. That error has no code. The message has the text."""


@contextmanager
def translate_sqlite_errors() -> Iterator[None]:
    """Raises sqlite3's errors as errors of the eventsourcing library."""
    try:
        yield
    except UnicodeDecodeError as error:
        # The driver raises it for an error message with a damaged name.
        raise DamagedStorage("a text is not valid UTF-8") from error
    except sqlite3.Error as error:
        if match := re.match(r"no such table: (?:main\.)?(\w+)", str(error)):
            raise MissingTable(match[1], str(error)) from error
        if str(error).startswith(_NOT_UTF8):
            raise DamagedStorage("a text is not valid UTF-8") from error
        if getattr(error, "sqlite_errorcode", None) in _DAMAGED:
            raise DamagedStorage(str(error)) from error
        raise library_error(sqlite3, error, str(error)) from error
