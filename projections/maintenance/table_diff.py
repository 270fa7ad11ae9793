"""Where do two tables of a projection differ?"""

from collections.abc import Iterator
from typing import Any

from msgspec import Struct

from domain.store.cursor import Cursor
from projections.projection import Projection

DIFFERENCES_SHOWN = 20

Row = dict[str, Any]
"""By column."""


class Difference(Struct, frozen=True, rename="camel"):
    """A place where the ledger contradicts itself; `found` is what lies in it, `expected` what should."""

    where: str
    found: dict[str, Any] | None
    expected: dict[str, Any] | None


def differing_rows(tx: Cursor, projection: Projection, found: str, expected: str) -> Iterator[Difference]:
    """Between two tables of the projection's shape."""
    key = ", ".join(projection.key)
    matches = " AND ".join(f"{column} = ?" for column in projection.key)
    keys = tx.execute(
        f"SELECT DISTINCT {key} FROM (SELECT * FROM (SELECT * FROM {found} EXCEPT SELECT * FROM {expected})"
        f" UNION ALL SELECT * FROM (SELECT * FROM {expected} EXCEPT SELECT * FROM {found})) ORDER BY {key} LIMIT ?",
        (DIFFERENCES_SHOWN,),
    ).fetchall()
    for row in keys:
        lies, should = (
            tx.execute(f"SELECT * FROM {table} WHERE {matches}", tuple(row)).fetchone() for table in (found, expected)
        )
        yield _difference(projection, dict(lies) if lies else None, dict(should) if should else None)


def _difference(projection: Projection, found: dict[str, Any] | None, expected: dict[str, Any] | None) -> Difference:
    row = found or expected or {}
    named = [f"{column}={row[column]}" for column in (*projection.key, *projection.names) if row[column] is not None]
    return Difference(f"{projection.name} {' '.join(named)}", *differing_columns(found, expected))


def differing_columns(found: Row | None, expected: Row | None) -> tuple[Row | None, Row | None]:
    """Of two rows, only the columns that differ."""
    if found is None or expected is None:
        return found, expected
    wrong = [column for column in found if found[column] != expected[column]]
    return {column: found[column] for column in wrong}, {column: expected[column] for column in wrong}
