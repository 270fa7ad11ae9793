"""Protocols of a cursor in a transaction and of the SQL dialect behind it; its rows; comparison of indexes."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from datetime import datetime
from functools import cache
from typing import Any, ClassVar, Generic, NamedTuple, Protocol, Self, TypeVar

from eventsourcing.persistence import OperationalError

from domain.values import Scope

T = TypeVar("T")


class Lookup(NamedTuple, Generic[T]):
    """A query whose parameters depend on no other query. `result` makes the result of its rows."""

    statement: str
    """Empty for a lookup without rows on this database."""
    parameters: Sequence[Any]
    result: Callable[[list[Any]], T]


Condition = tuple[str, Sequence[Any]]
"""The SQL condition that follows a column name, and its parameters."""


class Cursor(Protocol):
    """A PEP 249 cursor inside a transaction. Each row is a `NamedRow`."""

    @property
    def dialect(self) -> Dialect:
        """The operations that differ between the databases."""

    def now(self) -> datetime:
        """Returns the time of the database's clock, if it has one, otherwise of this host.

        A transaction may return the time at its start. One that takes the ledger lock first returns a time after it got the lock."""

    def execute(self, sql: str, parameters: Sequence[Any] = ..., /) -> Self: ...

    def executemany(self, sql: str, rows: Iterable[Sequence[Any]], /) -> Self: ...

    def execute_set(self, sql: str, rows: Iterable[Sequence[Any]], /) -> Self:
        """Executes the statement for rows whose order does not matter; all rows may become one statement."""

    def read_together(self, *lookups: Lookup[Any]) -> list[Any]:
        """Returns the result of each lookup. On PostgreSQL, all of them are one round trip. They run in their order."""

    def stream_rows(self, sql: str, parameters: Sequence[Any] = ..., /) -> Iterator[Any]:
        """Streams a large result row by row. The transaction runs no other statement until the last row is read."""

    def fetchone(self) -> Any: ...

    def fetchall(self) -> list[Any]: ...

    def __iter__(self) -> Iterator[Any]: ...


class NamedRow(tuple[Any, ...]):
    """Row whose values are read by column name or by index."""

    __slots__ = ()
    indexes: ClassVar[dict[str, int]] = {}

    def __getitem__(self, key: Any) -> Any:
        return tuple.__getitem__(self, self.indexes[key] if isinstance(key, str) else key)

    def keys(self) -> list[str]:
        return list(self.indexes)


@cache
def row_type(names: tuple[str, ...]) -> type[NamedRow]:
    """Returns the class of the rows with these columns. Of several columns with one name, the name means the first."""
    indexes = {name: index for index, name in reversed(list(enumerate(names)))}
    by_index = dict(sorted(indexes.items(), key=lambda item: item[1]))
    return type("NamedRow", (NamedRow,), {"indexes": by_index, "__slots__": ()})


class Column(NamedTuple):
    """Declaration of a table column."""

    name: str
    type: str
    is_required: bool


class Index(NamedTuple):
    """Definition of an index, without its name."""

    columns: tuple[str, ...]
    is_unique: bool
    is_partial: bool


class Dialect(Protocol):
    """Operations whose SQL differs between SQLite and PostgreSQL."""

    @property
    def live_prefix(self) -> str:
        """Prefix that qualifies a table name as the live table."""

    @property
    def temporary_prefix(self) -> str:
        """Prefix that qualifies a table name as a temporary table of this connection."""

    def in_list(self, values: Collection[Any]) -> Condition:
        """Returns the SQL condition that follows a column name, and its parameters: the column has one of the values."""

    def in_pairs(self, pairs: Collection[tuple[int, int]]) -> tuple[str, Sequence[Any]]:
        """Returns the SQL condition that follows two column names in brackets, and its parameters, like `in_list`."""

    def table_names(self, tx: Cursor) -> set[str]:
        """Returns the names of the live tables."""

    def columns(self, tx: Cursor, prefix: str, table: str) -> list[Column]:
        """Returns the columns; an empty list if the table does not exist. `prefix`: `live_prefix` or `temporary_prefix`."""

    def count_rows(self, tx: Cursor, table: str) -> int:
        """Returns the number of rows that the table itself has, whatever its indexes have."""

    def index_statements(self, tx: Cursor, table: str) -> list[str]:
        """Returns the CREATE INDEX statements of a live table, without those of its constraints."""

    def has_index(self, tx: Cursor, name: str) -> bool: ...

    def rename_table(self, tx: Cursor, table: str, name: str) -> None:
        """Renames a table. Views that use the old name then use the next table with that name."""

    def lock_tables(self, tx: Cursor, tables: Sequence[str]) -> None:
        """Locks the tables exclusively until the end of the transaction.

        Raises TableInUse after a short wait if another transaction uses one: a queued lock request blocks all later ones."""

    def analyze(self, tx: Cursor, tables: Sequence[str]) -> None:
        """Updates the planner statistics of tables that have become large."""

    def acquire_ledger_lock(self, tx: Cursor) -> None:
        """Takes the ledger lock; the transaction holds it until it ends."""

    def notify_commit(self, tx: Cursor) -> None:
        """Notifies listening connections when the transaction commits."""

    def busy_scopes(self, scopes: Collection[Scope]) -> Lookup[set[Scope]]:
        """Returns the scopes in which a bulk write runs, and locks the other scopes against one until the transaction ends."""

    def next_commit_ids(self, tx: Cursor, count: int) -> list[int]:
        """Returns unused commit ids in ascending order."""

    def next_stream_ids(self, tx: Cursor, count: int) -> Sequence[int]:
        """Returns unused stream ids in ascending order."""


class MissingTable(OperationalError):
    """A statement uses a table that does not exist."""

    def __init__(self, table: str, message: str) -> None:
        super().__init__(message)
        self.table = table


_INDEX = re.compile(r"CREATE (UNIQUE )?INDEX (\w+)\s+ON (?:ONLY )?\S+ (?:USING \w+ )?\((.*?)\)( WHERE .*)?$")


def parse_index(statement: str) -> tuple[str, Index]:
    """Returns the name and definition of an index from its CREATE INDEX statement, in the form of either database.

    Raises ValueError if it is not a CREATE INDEX statement."""
    match = _INDEX.match(" ".join(statement.replace('"', "").split()))
    if match is None:
        raise ValueError(f"Not a CREATE INDEX statement: {statement}")
    unique, name, columns, where = match.groups()
    return name, Index(tuple(column.strip() for column in columns.split(",")), bool(unique), bool(where))


def missing_indexes(dialect: Dialect, tx: Cursor, table: str, statements: Sequence[str]) -> list[str]:
    """Returns the names of the indexes that a live table lacks, compared by definition."""
    existing = {parse_index(statement)[1] for statement in dialect.index_statements(tx, table)}
    return [name for name, index in map(parse_index, statements) if index not in existing]
