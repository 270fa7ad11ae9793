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


def shape(tx: Cursor, schema: str, table: str) -> list[tuple[Any, ...]]:
    """What is declared of each column; nothing of a table that is not there."""
    rows = tx.execute(
        'SELECT name, type, "notnull", dflt_value, pk FROM pragma_table_info(?, ?) ORDER BY cid', (table, schema)
    )
    return [tuple(row) for row in rows]


def missing_indexes(tx: Cursor, projection: Projection) -> list[str]:
    """The indexes of a projection that its table does not have, under whatever names."""
    rows = tx.execute(
        "SELECT sql FROM sqlite_master WHERE type = 'index' AND tbl_name = ?", (projection.name,)
    ).fetchall()
    found = {_index(row["sql"]) for row in rows if row["sql"]}
    return [name for name, told in map(_named_index, projection.indexes) if told not in found]


def _named_index(statement: str) -> tuple[str, str]:
    words = statement.split()
    return words[words.index("ON") - 1], _index(statement)


def _index(statement: str) -> str:
    """Of what it is, without its name; SQLite puts names in quotes when it renames a table."""
    words = statement.replace('"', "").split()
    return " ".join([*words[: words.index("ON") - 1], *words[words.index("ON") :]])


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
    return Difference(f"{projection.name} {' '.join(named)}", *apart(found, expected))


def apart(found: Row | None, expected: Row | None) -> tuple[Row | None, Row | None]:
    """Of two rows, only the columns that differ."""
    if found is None or expected is None:
        return found, expected
    wrong = [column for column in found if found[column] != expected[column]]
    return {column: found[column] for column in wrong}, {column: expected[column] for column in wrong}
