"""Verification detects a change of every column of every table, except those in tests/support/verification/undetected.py."""

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from api.service import Service
from api.wiring import open_service
from domain.store.schema import TABLES, SchemaMismatch
from projections.maintenance.verification import verify
from projections.projector import PROJECTIONS
from tests.support.engine import IS_POSTGRES, empty_database
from tests.support.harness import Clock
from tests.support.histories.full_ledger import record_everything
from tests.support.verification.changed_rows import Row, Shell, made_up, other_values
from tests.support.verification.undetected import UNDETECTED_COLUMNS, UNDETECTED_DELETIONS, UNDETECTED_INSERTIONS

UNLOGGED = ("heartbeats", "progress") if IS_POSTGRES else ()
"""On SQLite they are in a file of their own, which verification does not read."""
PRIMARY = [statement.split()[2] for statement in TABLES if statement.split()[:2] == ["CREATE", "TABLE"]]
EACH_TABLE = pytest.mark.parametrize("table", [*PRIMARY, *UNLOGGED, *(projection.name for projection in PROJECTIONS)])
SAMPLED_ROWS = 1


class Changes(Shell):
    """Changes of a ledger that has something in every table."""

    def __init__(self, service: Service) -> None:
        super().__init__(service.settings)
        self._ledger = service.ledger

    def is_detected(self) -> bool:
        try:
            return bool(verify(self._ledger))
        except SchemaMismatch:
            return True

    def are_detected(self, table: str, row: Row, column: str) -> list[bool]:
        """Returns whether verification detects each change of a value that the database accepts."""
        others = [other[column] for _, other in self.rows(table)]
        return self._detected(table, [({column: value}, row) for value in other_values(row[column], others)])

    def _detected(self, table: str, changes: list[tuple[Row, Row]]) -> list[bool]:
        detected = []
        for values, row in changes:
            with self.changed(table, self.place(table, row), values, row) as is_accepted:
                if is_accepted:
                    detected.append(self.is_detected())
        return detected

    def place(self, table: str, row: Row) -> Any:
        """Returns where a row is now: on PostgreSQL, each change moves it."""
        return next(place for place, other in self.rows(table) if other == row)


@pytest.fixture(scope="module")
def changes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Changes]:
    clock, folder = Clock(), Path(tmp_path_factory.mktemp("ledger"))
    with empty_database(folder) as settings, open_service(settings, clock) as service:
        record_everything(service, clock)
        shell = Changes(service)
        for table in UNLOGGED:
            shell.execute(f"INSERT INTO {table} VALUES ('a run', {'1, 2' if table == 'heartbeats' else '1, 2, 3'})")
        yield shell
        shell.close()


def rows_of(changes: Changes, table: str) -> list[Row]:
    rows = [row for _, row in changes.rows(table)]
    random.Random(table).shuffle(rows)
    return rows


def sampled(rows: list[Row], column: str) -> list[Row]:
    return random.Random(column).sample(rows, min(SAMPLED_ROWS, len(rows)))


@EACH_TABLE
def test_verification_detects_a_change_of_each_column(changes: Changes, table: str) -> None:
    rows = rows_of(changes, table)
    assert not changes.is_detected()
    for column in rows[0]:
        if column not in UNDETECTED_COLUMNS.get(table, {}):
            detected = [changes.are_detected(table, row, column) for row in sampled(rows, column)]
            assert all(map(all, detected)), column
    assert not changes.is_detected()


@pytest.mark.parametrize("table", [table for table in UNDETECTED_COLUMNS if IS_POSTGRES or table in PRIMARY])
def test_columns_named_as_undetected_are_undetected(changes: Changes, table: str) -> None:
    rows = rows_of(changes, table)
    for column in UNDETECTED_COLUMNS[table]:
        assert any(not all(changes.are_detected(table, row, column)) for row in rows), column


@EACH_TABLE
def test_verification_detects_a_deleted_row_of_each_table(changes: Changes, table: str) -> None:
    if table not in UNDETECTED_DELETIONS or table == "images":
        for row in sampled(rows_of(changes, table), "deleted"):
            with changes.deleted(table, changes.place(table, row), row):
                assert changes.is_detected()


@EACH_TABLE
def test_verification_detects_a_made_up_row_of_each_table(changes: Changes, table: str) -> None:
    if table not in UNDETECTED_INSERTIONS or table == "images":
        for row in sampled(rows_of(changes, table), "inserted"):
            with changes.inserted(table, made_up(table, row)) as is_accepted:
                assert changes.is_detected() or not is_accepted


@pytest.mark.parametrize("table", ["runs", "traces"])
def test_some_deleted_rows_are_undetected(changes: Changes, table: str) -> None:
    def is_undetected(row: Row) -> bool:
        with changes.deleted(table, changes.place(table, row), row):
            return not changes.is_detected()

    assert any(map(is_undetected, rows_of(changes, table)))


@pytest.mark.parametrize("table", ["run_bodies", "quota_use", "runs", "secrets"])
def test_some_made_up_rows_are_undetected(changes: Changes, table: str) -> None:
    def is_undetected(row: Row) -> bool:
        with changes.inserted(table, made_up(table, row)) as is_accepted:
            return is_accepted and not changes.is_detected()

    assert any(map(is_undetected, rows_of(changes, table)))


@pytest.mark.parametrize(
    ("table", "columns"),
    [
        ("commits", ["highest_stream_id", "highest_commit_id", "digest", "chain", "actor"]),
        ("events", ["state", "topic"]),
        ("runs", ["counts", "position", "messages"]),
        ("run_outcomes", ["items", "item_count"]),
        ("traces", ["offer_uid", "version", "outcome"]),
        ("inventory", ["status", "version", "content_version", "content_digest", "sent_digest"]),
    ],
)
def test_verification_detects_swapped_rows(changes: Changes, table: str, columns: list[str]) -> None:
    rows = rows_of(changes, table)
    one, other = next(
        (one, other) for one in rows for other in rows if all(one[name] != other[name] for name in columns[:2])
    )
    first, second = ({name: row[name] for name in columns} for row in (one, other))
    with (
        changes.changed(table, changes.place(table, one), second, one) as is_first,
        changes.changed(table, changes.place(table, other), first, other) as is_second,
    ):
        assert (is_first, is_second) == (True, True)
        assert changes.is_detected()


@pytest.mark.long
@EACH_TABLE
def test_verification_detects_a_change_of_each_value(changes: Changes, table: str) -> None:
    rows = rows_of(changes, table)
    for column in rows[0]:
        if column not in UNDETECTED_COLUMNS.get(table, {}):
            for row in rows:
                assert all(changes.are_detected(table, row, column)), (column, row)
