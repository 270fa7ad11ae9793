"""Connections and transactions of a ledger in SQLite.

It does not use the eventsourcing library's pool. In that pool, a waiting writer blocks all readers, and closing the pool closes
connections that other threads are using.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from threading import Lock
from time import sleep
from typing import Any, Self

import apsw
from eventsourcing.persistence import InterfaceError, OperationalError

from domain.store.cursor import Cursor, Lookup, NamedRow, row_type
from domain.store.database import POLL_INTERVAL_SECONDS, CommitNotifications, StorageCheck
from domain.store.schema import SELECT_NEWEST_POSITION, SELECT_SCHEMA_VERSION, UNLOGGED_TABLES, require_version_rows
from domain.store.sqlite.dialect import SQLITE, SQLITE_LEDGER_VIEW
from domain.store.sqlite.driver import SQLITE_LOCK_TIMEOUT_SECONDS, connect, translate_sqlite_errors
from domain.store.sqlite.files import LEASES_SUFFIX, file_identity, make_private
from domain.store.sqlite.integrity import check_pages
from domain.values import Scope

PAGE_BYTES = 8192
MAX_IDLE = 8


class SqliteCursor:
    """Cursor of a SQLite connection; see domain.store.cursor.Cursor."""

    dialect = SQLITE

    def __init__(self, connection: apsw.Connection) -> None:
        self._cursor = connection.cursor()

    def now(self) -> datetime:
        return datetime.now(UTC)

    def execute(self, statement: str, parameters: Sequence[Any] = (), /) -> Self:
        self._cursor.execute(statement, parameters)
        return self

    def executemany(self, statement: str, rows: Iterable[Sequence[Any]], /) -> Self:
        self._cursor.executemany(statement, rows)
        return self

    def execute_set(self, statement: str, rows: Iterable[Sequence[Any]], /) -> Self:
        return self.executemany(statement, rows)

    def read_together(self, *lookups: Lookup[Any]) -> list[Any]:
        return [
            lookup.result(self.execute(lookup.statement, lookup.parameters).fetchall() if lookup.statement else [])
            for lookup in lookups
        ]

    def stream_rows(self, sql: str, parameters: Sequence[Any] = (), /) -> Iterator[Any]:
        return iter(self.execute(sql, parameters))

    def fetchone(self) -> Any:
        row_class = self._row_class()
        row = self._cursor.fetchone() if row_class else None
        return row_class(row) if row_class and row is not None else None

    def fetchall(self) -> list[Any]:
        row_class = self._row_class()
        return [*map(row_class, self._cursor.fetchall())] if row_class else []

    def __iter__(self) -> Iterator[Any]:
        row_class = self._row_class()
        return map(row_class, self._cursor) if row_class else iter(())

    def close(self) -> None:
        self._cursor.close(force=True)

    def _row_class(self) -> type[NamedRow] | None:
        """Returns the class of the next row. None if there is none."""
        try:
            return row_type(tuple(name for name, _type in self._cursor.get_description()))
        except apsw.ExecutionCompleteError:
            return None


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
        self._idle: deque[apsw.Connection] = deque()
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
                with closing(SqliteCursor(connection)) as cursor:
                    yield cursor
                connection.execute(end)
            finally:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                self._release(connection)

    def _acquire(self) -> apsw.Connection:
        if self._closed:
            raise InterfaceError("The ledger is closed")
        try:
            return self._idle.pop()
        except IndexError:
            return self._open()

    def _release(self, connection: apsw.Connection) -> None:
        if self._closed or len(self._idle) >= MAX_IDLE:
            connection.close()
            return
        self._idle.append(connection)
        if self._closed:  # by another thread, after the check above
            self.close()

    def _open(self) -> apsw.Connection:
        """Opens the file that has the ledger's name. `restore` can replace it while SQLite waits for the old file's lock."""
        if not self._is_private:
            make_private(self.database)
            self._is_private = True
        while True:
            before = file_identity(self.database)
            try:
                connection = self._connect()
            except apsw.Error:
                if file_identity(self.database) == before:
                    raise
                continue
            if file_identity(self.database) == before:
                return connection
            connection.close()

    def _connect(self) -> apsw.Connection:
        connection = connect(self.database)
        try:
            for pragma in (f"page_size={PAGE_BYTES}", "journal_mode=WAL", "synchronous=FULL"):
                connection.execute(f"PRAGMA {pragma}")
        except apsw.Error:
            connection.close()
            raise
        return connection
