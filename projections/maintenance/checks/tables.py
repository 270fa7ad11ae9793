"""Compares the columns and indexes of the primary tables with their statements."""

from collections.abc import Iterator, Sequence

from domain.store.cursor import Column, Cursor, missing_indexes
from domain.store.schema import TABLES
from projections.maintenance.table_diff import Difference

_PREFIX = "expected_"


def wrong_columns(tx: Cursor) -> Iterator[Difference]:
    """Yields primary tables that are missing or lack columns."""
    dialect = tx.dialect
    for statement in TABLES:
        kind, thing, name = statement.split()[:3]
        if (kind, thing) == ("CREATE", "TABLE"):
            # With a name of its own: a temporary table of the same name would hide the live one.
            tx.execute(statement.strip().replace(f"CREATE TABLE {name}", f"CREATE TEMP TABLE {_PREFIX}{name}", 1))
            found = dialect.columns(tx, dialect.live_prefix, name)
            expected = dialect.columns(tx, dialect.temporary_prefix, f"{_PREFIX}{name}")
            # A migration can have added columns that this program does not know.
            yield from different_columns(name, [column for column in found if column in expected], expected)


def wrong_indexes(tx: Cursor) -> Iterator[Difference]:
    """Yields missing indexes of the primary tables."""
    for name, indexes in _indexes().items():
        for index in missing_indexes(tx.dialect, tx, name, indexes):
            yield Difference(name, {"built": False, "index": index}, {"built": True, "index": index})


def different_columns(name: str, found: Sequence[Column], expected: Sequence[Column]) -> Iterator[Difference]:
    if not found:
        yield Difference(name, {"built": False}, {"built": True})
    elif found != expected:
        yield Difference(name, {"columns": _column_texts(found)}, {"columns": _column_texts(expected)})


def _indexes() -> dict[str, list[str]]:
    """Returns the CREATE INDEX statements by table."""
    indexes: dict[str, list[str]] = {}
    for statement in TABLES:
        words = statement.split()
        if "INDEX" in words[1:3]:
            indexes.setdefault(words[words.index("ON") + 1], []).append(statement)
    return indexes


def _column_texts(columns: Sequence[Column]) -> list[str]:
    return [f"{name} {kind}{' NOT NULL' * is_required}" for name, kind, is_required in columns]
