"""Compares two tables of a projection row by row."""

from collections.abc import Iterator
from typing import Any

from msgspec import Struct

from domain.store.cursor import Cursor
from projections.projection import Projection

MAX_DIFFERENCES = 20

Row = dict[str, Any]
"""Values by column name."""


class Difference(Struct, frozen=True, rename="camel"):
    """A place where the ledger contradicts itself: the stored values are `found`, the correct ones are `expected`."""

    where: str
    found: dict[str, Any] | None
    expected: dict[str, Any] | None


def differing_rows(tx: Cursor, projection: Projection, found: str, expected: str) -> Iterator[Difference]:
    """Yields the rows that differ between two tables with the columns of the projection, up to `MAX_DIFFERENCES`.

    The rows of `expected` must be distinct."""
    if _are_equal(tx, found, expected):
        return
    key = ", ".join(projection.key)
    matches = " AND ".join(f"{column} = ?" for column in projection.key)
    keys = tx.execute(
        f"SELECT DISTINCT {key} FROM (SELECT * FROM (SELECT * FROM {found} EXCEPT SELECT * FROM {expected}) f"
        f" UNION ALL SELECT * FROM (SELECT * FROM {expected} EXCEPT SELECT * FROM {found}) e) d ORDER BY {key} LIMIT ?",
        (MAX_DIFFERENCES,),
    ).fetchall()
    for row in keys:
        found_row, expected_row = (
            tx.execute(f"SELECT * FROM {table} WHERE {matches}", tuple(row)).fetchone() for table in (found, expected)
        )
        yield _difference(
            projection, dict(found_row) if found_row else None, dict(expected_row) if expected_row else None
        )


def _are_equal(tx: Cursor, found: str, expected: str) -> bool:
    """Returns whether `found` has as many rows, and all expected ones. Then it has no others.

    The database may scan a damaged index of `found` instead of the table, so the rows of both are counted."""
    rows = tx.dialect.count_rows(tx, expected)
    in_index = int(tx.execute(f"SELECT count(*) AS n FROM {found}").fetchone()["n"])
    if (in_index, tx.dialect.count_rows(tx, found)) != (rows, rows):
        return False
    return tx.execute(f"SELECT * FROM {expected} EXCEPT SELECT * FROM {found} LIMIT 1").fetchone() is None


def _difference(projection: Projection, found: dict[str, Any] | None, expected: dict[str, Any] | None) -> Difference:
    row = found or expected or {}
    labels = [f"{column}={row[column]}" for column in (*projection.key, *projection.names) if row[column] is not None]
    return Difference(f"{projection.name} {' '.join(labels)}", *differing_columns(found, expected))


def differing_columns(found: Row | None, expected: Row | None) -> tuple[Row | None, Row | None]:
    """Returns two rows, reduced to the columns in which they differ."""
    if found is None or expected is None:
        return found, expected
    differing = [column for column in found if found[column] != expected[column]]
    return {column: found[column] for column in differing}, {column: expected[column] for column in differing}
