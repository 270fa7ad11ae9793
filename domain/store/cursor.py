"""What can be asked of a transaction?"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any, NamedTuple, Protocol, Self

from eventsourcing.persistence import OperationalError

from domain.values import Scope


class Cursor(Protocol):
    """A cursor inside a transaction, as PEP 249 has it; rows are read by the names of columns, or by their places."""

    @property
    def dialect(self) -> Dialect:
        """What is to be said in the database's own way."""

    def now(self) -> datetime:
        """By the database's clock, if it has one. A transaction that has held the ledger's lock from its start may tell when
        that was."""

    def execute(self, sql: str, parameters: Sequence[Any] = ..., /) -> Self: ...

    def executemany(self, sql: str, rows: Iterable[Sequence[Any]], /) -> Self: ...

    def execute_set(self, sql: str, rows: Iterable[Sequence[Any]], /) -> Self:
        """The same where it makes no difference which of the rows comes first: they may be one statement."""

    def each(self, sql: str, parameters: Sequence[Any] = ..., /) -> Iterator[Any]:
        """Very many rows, one after the other; until the last one, nothing else is asked of the transaction."""

    def fetchone(self) -> Any: ...

    def fetchall(self) -> list[Any]: ...

    def __iter__(self) -> Iterator[Any]: ...


class Column(NamedTuple):
    """What is declared of a column of a table."""

    name: str
    type: str
    is_required: bool


class Index(NamedTuple):
    """What an index is, whatever it is called."""

    columns: tuple[str, ...]
    is_unique: bool
    is_partial: bool


class Dialect(Protocol):
    @property
    def live(self) -> str:
        """What stands before the name of a table, to be sure that the live one is meant."""

    @property
    def temporary(self) -> str:
        """The same for the temporary one."""

    def in_list(self, values: Collection[Any]) -> tuple[str, Sequence[Any]]:
        """What stands behind a column that shall have one of the values, and the parameters of that."""

    def table_names(self, tx: Cursor) -> set[str]:
        """Of live tables."""

    def columns(self, tx: Cursor, place: str, table: str) -> list[Column]:
        """None of a table that is not there. `place`: `live` or `temporary`."""

    def index_statements(self, tx: Cursor, table: str) -> list[str]:
        """Those that have made the indexes of a live table; not what its key is kept by."""

    def has_index(self, tx: Cursor, name: str) -> bool: ...

    def rename_table(self, tx: Cursor, table: str, name: str) -> None:
        """What speaks of the table, such as a view, speaks of whatever has its name."""

    def lock_tables(self, tx: Cursor, tables: Sequence[str]) -> None:
        """Until the end of the transaction nobody else uses the tables. Raises InUse if somebody reads one for more than a
        moment: who waits for a table keeps all others from it."""

    def analyze(self, tx: Cursor, tables: Sequence[str]) -> None:
        """Of tables that have become large: how to find something in them depends on what is known of them."""

    def acquire_ledger_lock(self, tx: Cursor) -> None:
        """From here on to its end, a transaction holds the ledger's lock."""

    def notify_commit(self, tx: Cursor) -> None:
        """Whoever listens is told when the transaction has been committed."""

    def busy(self, tx: Cursor, scopes: Collection[Scope]) -> set[Scope]:
        """Those in which somebody is storing much. In the others, nobody will until the end of the transaction."""

    def next_commit_ids(self, tx: Cursor, count: int) -> list[int]:
        """In ascending order."""


class MissingTable(OperationalError):  # noqa: N818 - it says what is the case
    """A statement has named a table that is not there."""

    def __init__(self, table: str, message: str) -> None:
        super().__init__(message)
        self.table = table


_INDEX = re.compile(r"CREATE (UNIQUE )?INDEX (\w+)\s+ON (?:ONLY )?\S+ (?:USING \w+ )?\(([^)]*)\)( WHERE )?")


def index_of(statement: str) -> tuple[str, Index]:
    """Its name, and what it is; by the statement that makes it, as either database has it."""
    found = _INDEX.match(" ".join(statement.replace('"', "").split()))
    if found is None:
        raise ValueError(f"No index is made by: {statement}")
    unique, name, columns, where = found.groups()
    return name, Index(tuple(column.strip() for column in columns.split(",")), bool(unique), bool(where))


def missing_indexes(dialect: Dialect, tx: Cursor, table: str, statements: Sequence[str]) -> list[str]:
    """The names of those that a live table does not have, under whatever names."""
    there = {index_of(statement)[1] for statement in dialect.index_statements(tx, table)}
    return [name for name, index in map(index_of, statements) if index not in there]
