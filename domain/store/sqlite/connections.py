"""How is SQLite spoken to: how are its connections opened, its transactions begun and ended, and what does it say in its own way?

Not by the library's pool: there a writer that waits for another one makes every reader wait behind it, and closing it
pulls connections away from threads that are using them.
"""

import re
import sqlite3
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from threading import Lock
from time import sleep
from typing import Any, Self

from eventsourcing.persistence import InterfaceError, OperationalError

from domain.store.cursor import Cursor
from domain.store.database import LOOKS_EVERY_SECONDS, News
from domain.store.dialect import Column, MissingTable
from domain.store.errors import library_error
from domain.store.schema import NEWEST_POSITION, TABLES_BESIDE, VERSIONS, require_versions
from domain.values import Scope, Watch

LOCK_TIMEOUT_SECONDS = 60.0
PAGE_BYTES = 8192
CACHED_STATEMENTS = 256
MAX_IDLE = 8
PAGES_PER_STEP = 1_000


class SqliteDialect:
    live, temporary = "main.", "temp."

    def among(self, values: Collection[Any]) -> tuple[str, Sequence[Any]]:
        return f"IN ({','.join('?' * len(values))})", [*values]

    def table_names(self, tx: Cursor) -> set[str]:
        return {row["name"] for row in tx.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}

    def columns(self, tx: Cursor, place: str, table: str) -> list[Column]:
        told = 'SELECT name, type, "notnull", pk FROM pragma_table_info(?, ?) ORDER BY cid'
        rows = tx.execute(told, (table, place.rstrip("."))).fetchall()
        return [Column(row["name"], row["type"], bool(row["notnull"] or row["pk"])) for row in rows]

    def index_statements(self, tx: Cursor, table: str) -> list[str]:
        told = "SELECT sql FROM sqlite_master WHERE type = 'index' AND tbl_name = ? AND sql IS NOT NULL"
        return [row["sql"] for row in tx.execute(told, (table,)).fetchall()]

    def has_index(self, tx: Cursor, name: str) -> bool:
        found = tx.execute("SELECT 1 FROM sqlite_master WHERE type = 'index' AND name = ?", (name,)).fetchone()
        return found is not None

    def rename_table(self, tx: Cursor, table: str, name: str) -> None:
        tx.execute("PRAGMA legacy_alter_table = ON")
        try:
            tx.execute(f"ALTER TABLE {table} RENAME TO {name}")
        finally:
            tx.execute("PRAGMA legacy_alter_table = OFF")

    def have_alone(self, _tx: Cursor, _tables: Sequence[str]) -> None:
        """Readers see what was there when they began."""

    def take_stock(self, _tx: Cursor, _tables: Sequence[str]) -> None:
        """It does without."""

    def take_turn(self, _tx: Cursor) -> None:
        """It has been its turn from the start."""

    def tell_news(self, _tx: Cursor) -> None:
        """Nobody can listen."""

    def busy(self, _tx: Cursor, _scopes: Collection[Scope]) -> set[Scope]:
        return set()

    def next_commit_ids(self, tx: Cursor, count: int) -> list[int]:
        newest = tx.execute("SELECT coalesce(max(commit_id), 0) AS id FROM commits").fetchone()["id"]
        return list(range(newest + 1, newest + 1 + count))


SQLITE = SqliteDialect()
LEASES_SUFFIX = "-leases"
LEDGER_VIEW = """
    CREATE VIEW ledger AS
    SELECT c.first_position + e.ordinal AS position,
           strftime('%Y-%m-%dT%H:%M:%S', c.recorded_at / 1000000, 'unixepoch')
               || printf('.%06dZ', c.recorded_at % 1000000) AS recorded_at,
           e.topic AS type, lower(substr(hex(s.stream_uid), 1, 8) || '-' || substr(hex(s.stream_uid), 9, 4) || '-'
               || substr(hex(s.stream_uid), 13, 4) || '-' || substr(hex(s.stream_uid), 17, 4) || '-'
               || substr(hex(s.stream_uid), 21)) AS stream, e.version, c.partner, c.actor, c.source,
           c.run_id, c.trace_id, CAST(e.state AS TEXT) AS state
    FROM commits c JOIN events e USING (commit_id) JOIN streams s USING (stream_id)
"""
"""For people with a database shell."""


class SqliteCursor(sqlite3.Cursor):
    dialect = SQLITE

    def execute_set(self, statement: str, rows: Iterable[Sequence[Any]], /) -> Self:
        return self.executemany(statement, rows)

    def now(self) -> datetime:
        return datetime.now(UTC)

    def each(self, sql: str, parameters: Sequence[Any] = (), /) -> Iterator[Any]:
        return iter(self.execute(sql, parameters))


class Moments:
    """Nobody tells anything: it is always time to look."""

    def wait(self, _is_over: Callable[[], bool]) -> bool:
        sleep(LOOKS_EVERY_SECONDS)
        return True

    def missed(self) -> None:
        """There is nothing to listen to."""

    def close(self) -> None:
        """There is nothing to close."""


class Connections:
    """Any number of readers and one writer at a time, of this process; SQLite's lock sees to the other processes."""

    dialect = SQLITE

    def __init__(self, database: str) -> None:
        self.database = database
        self._beside: Connections | None = None
        self._idle: deque[sqlite3.Connection] = deque()
        self._writer = Lock()
        self._closed = False

    def making(self, tables: Sequence[str]) -> Sequence[str]:
        return [*tables, LEDGER_VIEW]

    @contextmanager
    def writing(self, after: Scope | None = None) -> Iterator[Cursor]:  # noqa: ARG002 - nobody else is storing anything then
        with self.remaking() as tx:
            require_versions(tx.execute(VERSIONS).fetchall())
            yield tx

    @contextmanager
    def remaking(self) -> Iterator[Cursor]:
        """A transaction that holds the write lock from its start and commits at its end; rolls back on any error."""
        if not self._writer.acquire(timeout=LOCK_TIMEOUT_SECONDS):
            raise OperationalError("Other writers have held the ledger for too long")
        try:
            with self._transaction("BEGIN IMMEDIATE", "COMMIT") as cursor:
                yield cursor
        finally:
            self._writer.release()

    def storing(self, scope: Scope | None = None) -> AbstractContextManager[Cursor]:
        """There is one lock for all that is written."""
        return self.writing(scope)

    def alone(self) -> AbstractContextManager[Cursor]:
        return self.writing()

    @contextmanager
    def reading(self) -> Iterator[Cursor]:
        with self.looking() as tx:
            require_versions(tx.execute(VERSIONS).fetchall())
            yield tx

    @contextmanager
    def looking(self) -> Iterator[Cursor]:
        """A transaction that sees one snapshot and keeps nothing."""
        with self._transaction("BEGIN", "ROLLBACK") as cursor:
            yield cursor

    @contextmanager
    def beside(self) -> Iterator[Cursor]:
        """In a small database of its own (`…-leases`): the ledger has one lock for all that is written to it."""
        if self._beside is None:
            leases = Connections(self.database + LEASES_SUFFIX)
            with leases.remaking() as tx:
                for table in TABLES_BESIDE:
                    tx.execute(table)
            self._beside = leases
        with self._beside.remaking() as tx:
            yield tx

    def dispossess(self, _scope: Scope) -> int:
        return 0

    def end_stalled(self) -> int:
        """Processes of one machine: whoever stands still there, is seen there."""
        return 0

    def newest_position(self) -> int:
        with self.looking() as tx:
            return int(tx.execute(NEWEST_POSITION).fetchone()["position"])

    def news(self) -> News:
        return Moments()

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


def copy_database(source: Path, target: Path, watch: Watch) -> int:
    """The whole of it in one snapshot, while others read and write; answers the position of the copy. `target` is empty."""
    with _library_errors(), closing(sqlite3.connect(source, isolation_level=None)) as ledger:
        ledger.execute("BEGIN")
        (position,) = ledger.execute("SELECT position FROM head").fetchone()
        with closing(sqlite3.connect(target)) as copy:
            ledger.backup(copy, pages=PAGES_PER_STEP, progress=lambda _status, left, total: watch(total - left, total))
        return int(position)


@contextmanager
def _library_errors() -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        if missing := re.match(r"no such table: (?:main\.)?(\w+)", str(error)):
            raise MissingTable(missing[1], str(error)) from error
        raise library_error(sqlite3, error, str(error)) from error
