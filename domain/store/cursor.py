"""What can be asked of a transaction?"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol, Self

if TYPE_CHECKING:
    from domain.store.dialect import Dialect


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
