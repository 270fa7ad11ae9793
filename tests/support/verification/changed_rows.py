"""Changes rows of a ledger one at a time, as a person with a database shell could, and changes them back."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import apsw
import psycopg
from psycopg import sql

from api.settings import Settings
from domain.store.records.compression import ZstdError, compress, decompress
from domain.store.sqlite.driver import connect
from projections.projector import PROJECTIONS
from tests.support.engine import IS_POSTGRES, postgres_url

Row = dict[str, Any]

KEYS = {
    "schema_version": ["version"],
    "head": ["only_row"],
    "commits": ["commit_id", "first_position", "recorded_at"],
    "streams": ["stream_id", "stream_uid"],
    "events": ["commit_id", "ordinal", "version"],
    "runs": ["run_seq", "run_id", "request_key", "concurrency_request_id"],
    "run_bodies": ["run_id"],
    "run_outcomes": ["first_item"],
    "traces": ["trace_seq", "trace_id"],
    "quota_use": ["day"],
    "images": ["image_id", "digest", "literal"],
    "secrets": ["name"],
    "heartbeats": ["run_id"],
    "progress": ["run_id"],
    **{projection.name: [*projection.key] for projection in PROJECTIONS},
}
"""Columns by table that a made-up row must not share with the row from which it is copied."""
REFUSED = (apsw.Error, psycopg.DatabaseError)


class Shell:
    """A connection to the database of a ledger, past the service. `place` is the address of a row."""

    def __init__(self, settings: Settings) -> None:
        self._place = "ctid" if IS_POSTGRES else "rowid"
        if IS_POSTGRES:
            self._connection: Any = psycopg.connect(postgres_url(), autocommit=True)
            self._connection.execute(sql.SQL("SET search_path TO {}").format(sql.Identifier(settings.database_schema)))
        else:
            self._connection = connect(settings.database)

    def close(self) -> None:
        self._connection.close()

    def execute(self, statement: str, values: Sequence[Any] = ()) -> Any:
        return self._connection.execute(statement.replace("?", "%s") if IS_POSTGRES else statement, values)

    def rows(self, table: str) -> list[tuple[Any, Row]]:
        """Returns the rows with their places, in a fixed order."""
        found = self.execute(f"SELECT {self._place}, t.* FROM {table} t")
        names = [column[0] for column in found.description]
        rows = [(row[0], dict(zip(names[1:], row[1:], strict=True))) for row in found.fetchall()]
        return sorted(rows, key=lambda row: repr(row[1]))

    @contextmanager
    def changed(self, table: str, place: Any, values: Row, before: Row) -> Iterator[bool]:
        """Changes columns of a row, and yields whether the database accepted it. Changes them back at the end."""
        new_place = self._update(table, place, values)
        try:
            yield new_place is not None
        finally:
            if new_place is not None:
                assert self._update(table, new_place, {name: before[name] for name in values}) is not None

    @contextmanager
    def deleted(self, table: str, place: Any, row: Row) -> Iterator[None]:
        self.execute(f"DELETE FROM {table} WHERE {self._place} = ?", (place,))
        try:
            yield
        finally:
            self._insert(table, row)

    @contextmanager
    def inserted(self, table: str, row: Row) -> Iterator[bool]:
        """Inserts a row, and yields whether the database accepted it. Deletes it at the end."""
        place = None
        with suppress(*REFUSED):
            place = self._insert(table, row)
        try:
            yield place is not None
        finally:
            if place is not None:
                self.execute(f"DELETE FROM {table} WHERE {self._place} = ?", (place,))

    def _update(self, table: str, place: Any, values: Row) -> Any:
        assignments = ", ".join(f"{name} = ?" for name in values)
        statement = f"UPDATE {table} SET {assignments} WHERE {self._place} = ? RETURNING {self._place}"
        with suppress(*REFUSED):
            return self.execute(statement, (*values.values(), place)).fetchall()[0][0]
        return None

    def _insert(self, table: str, row: Row) -> Any:
        names, marks = ", ".join(row), ", ".join("?" * len(row))
        statement = f"INSERT INTO {table} ({names}) VALUES ({marks}) RETURNING {self._place}"
        return self.execute(statement, [*row.values()]).fetchall()[0][0]


def other_values(value: Any, others: Sequence[Any]) -> list[Any]:
    """Returns a value of another row, if there is one, and a value that no row has: the kinds of change that a test makes."""
    different = [other for other in others if other != value and other is not None]
    return [*different[:1], changed_value(value if value is not None else (different or ["x"])[0])]


def changed_value(value: Any) -> Any:
    """Returns a value of the same type and form that differs."""
    match value:
        case bool():
            return not value
        case int():
            return value + 1
        case str():
            return _changed_text(value)
        case _:
            return _changed_bytes(bytes(value))


def _changed_text(value: str) -> str:
    """Returns the text with another last letter or digit, so that JSON stays JSON."""
    last = next((index for index in reversed(range(len(value))) if value[index].isalnum()), None)
    if last is None:
        return '["x"]' if value == "[]" else f"{value}0"
    return f"{value[:last]}{'0' if value[last] != '0' else '1'}{value[last + 1 :]}"


def _changed_bytes(value: bytes) -> bytes:
    with suppress(ZstdError):
        plain = decompress(value)
        # The last text of a list of outcomes is the most hidden one.
        return compress(
            plain.replace(b'"messages":[]', b'"messages":["x"]', 1) if b"messages" in plain else plain + b" "
        )
    middle = len(value) // 2
    return value[:middle] + bytes([value[middle] ^ 1]) + value[middle + 1 :] if value else b"x"


def made_up(table: str, row: Row) -> Row:
    """Returns a copy of a row with other values in the columns that identify it."""
    return row | {
        name: row[name] + 1_000_000 if isinstance(row[name], int) else changed_value(row[name])
        for name in KEYS[table]
        if row[name] is not None
    }
