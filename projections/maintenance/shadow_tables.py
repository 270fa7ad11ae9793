"""Shadow tables: tables beside the live ones in the same database, which a rebuild fills.

The functions of a projection use its name in their SQL. `RenamingCursor` replaces it by the name of the shadow table.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any, Self

from domain.store.cursor import Cursor, Dialect, Lookup
from projections.projection import Projection

SHADOW_PREFIX, RETIRED_PREFIX = "rebuilt_", "retired_"
"""Prefixes of the table's name: of a table that is being built, and of one that has been replaced."""
_STATEMENTS_KEPT = 256


class RenamingCursor:
    """A cursor that replaces the names of projections by those of their shadow tables, wherever they are whole
    words."""

    def __init__(self, tx: Cursor, projections: Iterable[Projection]) -> None:
        names = re.compile(rf"\b({'|'.join(re.escape(projection.name) for projection in projections)})\b")
        self._tx = tx
        self._renamed = lru_cache(_STATEMENTS_KEPT)(lambda sql: names.sub(rf"{SHADOW_PREFIX}\1", sql))

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

    def read_together(self, *lookups: Lookup[Any]) -> list[Any]:
        renamed = [lookup._replace(statement=self._renamed(lookup.statement)) for lookup in lookups]
        return self._tx.read_together(*renamed)

    def stream_rows(self, sql: str, parameters: Sequence[Any] = (), /) -> Iterator[Any]:
        return self._tx.stream_rows(self._renamed(sql), parameters)

    def fetchone(self) -> Any:
        return self._tx.fetchone()

    def fetchall(self) -> list[Any]:
        return self._tx.fetchall()

    def __iter__(self) -> Iterator[Any]:
        return iter(self._tx)


def with_free_index_name(tx: Cursor, statement: str) -> str:
    """Returns the statement of an index with a name that is free: its own, or its own with `_again`.

    The index of the live table has the other name, and SQLite cannot rename an index."""
    name = re.search(r"\bINDEX\s+(\w+)", statement)
    if name and tx.dialect.has_index(tx, name[1]):
        return f"{statement[: name.end()]}_again{statement[name.end() :]}"
    return statement


def swap_in(tx: Cursor, projections: Iterable[Projection]) -> None:
    """Renames the live tables to retired ones, and the shadow tables to live ones.

    Dropping the retired tables would take long, so it happens later."""
    tables = tx.dialect.table_names(tx)
    for name in (projection.name for projection in projections):
        if name in tables:
            tx.dialect.rename_table(tx, name, f"{RETIRED_PREFIX}{name}")
        tx.dialect.rename_table(tx, f"{SHADOW_PREFIX}{name}", name)


def leftover_tables(tx: Cursor) -> list[str]:
    """Returns the names of all shadow and retired tables."""
    return sorted(name for name in tx.dialect.table_names(tx) if name.startswith((SHADOW_PREFIX, RETIRED_PREFIX)))
