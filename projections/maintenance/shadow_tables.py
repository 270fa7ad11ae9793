"""How does a projection get into a table that is not called like it?

In a shadow table beside the live one, in the same database. What writes it says the projection's name; a cursor puts the
shadow's name in its place.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any, Self

from domain.store.cursor import Cursor, Dialect
from projections.projection import Projection

SHADOW, RETIRED = "rebuilt_", "retired_"
"""What stands before the projection's name: in a table that is being built, and in one that has been replaced."""
_STATEMENTS_KEPT = 256


class RenamingCursor:
    """A cursor for which some tables have other names, wherever these are written as whole words."""

    def __init__(self, tx: Cursor, projections: Iterable[Projection]) -> None:
        names = re.compile(rf"\b({'|'.join(re.escape(projection.name) for projection in projections)})\b")
        self._tx = tx
        self._renamed = lru_cache(_STATEMENTS_KEPT)(lambda sql: names.sub(rf"{SHADOW}\1", sql))

    @property
    def dialect(self) -> Dialect:
        return self._tx.dialect

    def now(self) -> datetime:
        return self._tx.now()

    def execute(self, sql: str, parameters: Sequence[Any] = (), /) -> Self:
        self._tx.execute(self._renamed(sql), parameters)
        return self

    def executemany(self, sql: str, rows: Iterable[Sequence[Any]], /) -> Self:
        self._tx.executemany(self._renamed(sql), rows)
        return self

    def execute_set(self, sql: str, rows: Iterable[Sequence[Any]], /) -> Self:
        self._tx.execute_set(self._renamed(sql), rows)
        return self

    def each(self, sql: str, parameters: Sequence[Any] = (), /) -> Iterator[Any]:
        return self._tx.each(self._renamed(sql), parameters)

    def fetchone(self) -> Any:
        return self._tx.fetchone()

    def fetchall(self) -> list[Any]:
        return self._tx.fetchall()

    def __iter__(self) -> Iterator[Any]:
        return iter(self._tx)


def free_index(tx: Cursor, statement: str) -> str:
    """The statement of an index, under whichever of two names is free: the live table's index has the other one, and an
    index can't be renamed."""
    name = re.search(r"\bINDEX\s+(\w+)", statement)
    if name and tx.dialect.has_index(tx, name[1]):
        return f"{statement[: name.end()]}_again{statement[name.end() :]}"
    return statement


def put_in_place(tx: Cursor, projections: Iterable[Projection]) -> None:
    """Makes each shadow the live table; the one that was live is retired. To drop it would take its time."""
    there = tx.dialect.table_names(tx)
    for name in (projection.name for projection in projections):
        if name in there:
            tx.dialect.rename_table(tx, name, f"{RETIRED}{name}")
        tx.dialect.rename_table(tx, f"{SHADOW}{name}", name)


def leftovers(tx: Cursor) -> list[str]:
    """Tables that are live for nobody."""
    return sorted(name for name in tx.dialect.table_names(tx) if name.startswith((SHADOW, RETIRED)))
