"""What can be asked of a transaction?"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Protocol, Self


class Cursor(Protocol):
    """A cursor inside a transaction, as PEP 249 has it; rows are read by column name."""

    def execute(self, sql: str, parameters: Sequence[Any] = ..., /) -> Self: ...

    def executemany(self, sql: str, rows: Iterable[Sequence[Any]], /) -> Self: ...

    def fetchone(self) -> Any: ...

    def fetchall(self) -> list[Any]: ...

    def __iter__(self) -> Iterator[Any]: ...
