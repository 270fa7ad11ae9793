"""Migration of older ledgers, step by step, without a change of the recorded events."""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import accumulate
from multiprocessing import get_context
from typing import Any

import pytest

from api.service import Service
from api.settings import Settings
from api.wiring import open_service
from domain.store.cursor import Cursor
from domain.store.database import Database
from domain.store.factory import open_database
from domain.store.migrations import STEPS, MigrationStep, apply_step, find_schema_version, pending_steps
from domain.store.schema import SCHEMA_VERSION, SchemaMismatch
from domain.values import Operation
from projections.maintenance.verification import verify
from tests.support.engine import IS_POSTGRES
from tests.support.examples import item
from tests.support.harness import Clock, run_batch
from tests.support.histories.full_ledger import record_everything
from tests.support.table_contents import projection_rows
from tests.support.waiting import PATIENCE_SECONDS

OLDER, NEWER = SCHEMA_VERSION - 1, SCHEMA_VERSION + 1
PAUSE_SECONDS = 0.3


def fill_notes(tx: Cursor) -> None:
    rows = tx.execute("SELECT commit_id, actor FROM commits").fetchall()
    notes = [(f"by {row['actor']}", row["commit_id"]) for row in rows]
    tx.executemany("UPDATE commits SET note = ? WHERE commit_id = ?", notes)


STEP = MigrationStep(
    SCHEMA_VERSION,
    "Adds notes and the newest commit and stream so far to each commit",
    (
        "ALTER TABLE commits ADD COLUMN note TEXT",
        "ALTER TABLE commits ADD COLUMN newest_commit INTEGER NOT NULL DEFAULT 0",
        "ALTER TABLE commits ADD COLUMN newest_stream INTEGER NOT NULL DEFAULT 0",
        """
        UPDATE commits SET newest_commit = so_far.newest_commit, newest_stream = so_far.newest_stream
        FROM (
            SELECT c.commit_id, max(c.commit_id) OVER (ORDER BY c.first_position) AS newest_commit,
                   max(max(e.stream_id)) OVER (ORDER BY c.first_position) AS newest_stream
            FROM commits c JOIN events e USING (commit_id)
            GROUP BY c.commit_id, c.first_position
        ) so_far
        WHERE so_far.commit_id = commits.commit_id
        """,
        fill_notes,
    ),
)


def set_version(database: Database, version: int) -> None:
    with database.schema_change() as tx:
        tx.execute("UPDATE schema_version SET version = ?", (version,))


@contextmanager
def open_ledger_database(settings: Settings) -> Iterator[Database]:
    database = open_database(settings.database_location)
    yield database
    database.close()


@pytest.fixture
def database(settings: Settings, clock: Clock) -> Iterator[Database]:
    """A ledger of the older version with an example of every kind of data."""
    with open_service(settings, clock) as service:
        record_everything(service, clock)
    with open_ledger_database(settings) as database:
        set_version(database, OLDER)
        yield database


def primary_rows(tx: Cursor) -> list[list[tuple[Any, ...]]]:
    """Returns the primary rows, in the columns before the step."""
    statements = (
        "SELECT * FROM events ORDER BY commit_id, ordinal",
        "SELECT * FROM head",
        "SELECT commit_id, first_position, recorded_at, partner, actor, run_id, digest, chain FROM commits ORDER BY 1",
        "SELECT * FROM runs ORDER BY run_seq",
    )
    return [[tuple(row) for row in tx.execute(statement).fetchall()] for statement in statements]


def shape(database: Database) -> Any:
    with database.read_any_schema() as tx:
        return (
            find_schema_version(database),
            tx.dialect.columns(tx, tx.dialect.live_prefix, "commits"),
            primary_rows(tx),
        )


def test_step_adds_columns_and_fills_them(database: Database) -> None:
    assert find_schema_version(database) == OLDER
    assert apply_step(database, STEP)
    assert find_schema_version(database) == SCHEMA_VERSION
    with database.read() as tx:
        columns = {column.name: column for column in tx.dialect.columns(tx, tx.dialect.live_prefix, "commits")}
        commits = tx.execute("SELECT * FROM commits ORDER BY first_position").fetchall()
        streams = [
            max(
                row[0] for row in tx.execute("SELECT stream_id FROM events WHERE commit_id = ?", (commit["commit_id"],))
            )
            for commit in commits
        ]
    assert (columns["note"].is_required, columns["newest_stream"].is_required) == (False, True)
    assert columns["newest_commit"].type == columns["first_position"].type
    assert [row["newest_commit"] for row in commits] == list(accumulate((row["commit_id"] for row in commits), max))
    assert [row["newest_stream"] for row in commits] == list(accumulate(streams, max))
    assert {row["note"] for row in commits} == {f"by {row['actor']}" for row in commits}


def test_migrated_ledger_keeps_its_rows_and_accepts_writes(
    database: Database, settings: Settings, clock: Clock
) -> None:
    with database.read_any_schema() as tx:
        before = primary_rows(tx)
    set_version(database, SCHEMA_VERSION)
    with open_service(settings, clock) as service:
        projections = projection_rows(service.ledger)
    set_version(database, OLDER)
    apply_step(database, STEP)
    with database.read_any_schema() as tx:
        assert primary_rows(tx) == before
    with open_service(settings, clock) as service:
        assert projection_rows(service.ledger) == projections
        assert verify(service.ledger) == []
        run_batch(service.ledger, Operation.INSERT, [item("TP-30")])
        assert verify(service.ledger) == []


def test_failed_step_leaves_the_ledger_unchanged(database: Database) -> None:
    before = shape(database)

    def fail(_tx: Cursor) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        apply_step(database, MigrationStep(SCHEMA_VERSION, STEP.description, (*STEP.actions, fail)))
    assert shape(database) == before
    assert apply_step(database, STEP)


def kill_process(_tx: Cursor) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _migrate_and_kill(settings: Settings) -> None:
    with open_ledger_database(settings) as database:
        apply_step(database, MigrationStep(SCHEMA_VERSION, STEP.description, (*STEP.actions, kill_process)))


def test_killed_migration_leaves_the_ledger_unchanged(database: Database, settings: Settings) -> None:
    before = shape(database)
    migrating = get_context("spawn").Process(target=_migrate_and_kill, args=(settings,), daemon=True)
    migrating.start()
    migrating.join(PATIENCE_SECONDS)
    assert migrating.exitcode == -signal.SIGKILL
    assert shape(database) == before
    assert apply_step(database, STEP)


def test_step_runs_only_once(database: Database) -> None:
    assert apply_step(database, STEP)
    done = shape(database)
    assert not apply_step(database, STEP, before=lambda: pytest.fail("a finished step must not call `before`"))
    assert shape(database) == done


def test_before_callback_runs_while_writers_are_blocked(database: Database, settings: Settings) -> None:
    """So a backup made by the callback has the state that is migrated."""
    with open_ledger_database(settings) as other:
        writer = threading.Thread(target=set_version, args=(other, NEWER), daemon=True)

        def check_writer_waits() -> None:
            writer.start()
            writer.join(PAUSE_SECONDS)
            assert writer.is_alive()

        assert apply_step(database, STEP, before=check_writer_waits)
        writer.join(PATIENCE_SECONDS)
        assert find_schema_version(database) == NEWER


def test_step_reports_its_progress(database: Database) -> None:
    reports: list[tuple[int, int]] = []
    apply_step(database, STEP, lambda done, total: reports.append((done, total)))
    assert reports == [(done, len(STEP.actions)) for done in range(len(STEP.actions) + 1)]


# Selection of steps


def test_pending_steps_are_those_after_the_version() -> None:
    steps = [MigrationStep(version, "", ()) for version in range(2, SCHEMA_VERSION + 1)]
    assert pending_steps(OLDER, steps) == steps[-1:]
    assert pending_steps(1, steps) == steps
    assert pending_steps(SCHEMA_VERSION, steps) == []


def test_version_without_a_migration_path_is_rejected() -> None:
    with pytest.raises(SchemaMismatch, match=f"schema {OLDER}; this program can't migrate"):
        pending_steps(OLDER, [])
    with pytest.raises(SchemaMismatch, match="can't migrate"):
        pending_steps(1, [step for step in STEPS if step.version != SCHEMA_VERSION])


def test_newer_ledger_is_rejected() -> None:
    with pytest.raises(SchemaMismatch, match=f"schema {NEWER}; this program is older"):
        pending_steps(NEWER)


def test_empty_database_has_no_schema_version(settings: Settings) -> None:
    with open_ledger_database(settings) as database:
        assert find_schema_version(database) is None


def test_database_without_a_ledger_is_rejected(settings: Settings) -> None:
    with open_ledger_database(settings) as database:
        with database.schema_change() as tx:
            for statement in database.create_statements(["CREATE TABLE commits (x INTEGER)"])[:-1]:
                tx.execute(statement)
        with pytest.raises(SchemaMismatch, match="something other than a ledger"):
            find_schema_version(database)


# Concurrent processes


@pytest.mark.parametrize("version", [OLDER, NEWER])
def test_open_process_rejects_another_schema_version(service: Service, settings: Settings, version: int) -> None:
    with open_ledger_database(settings) as other:
        set_version(other, version)
    with pytest.raises(SchemaMismatch, match=f"schema {version}"):
        run_batch(service.ledger, Operation.INSERT, [item("TP-1")])
    with pytest.raises(SchemaMismatch, match=f"schema {version}"):
        service.ledger.recorder.max_notification_id()


@pytest.mark.parametrize("transaction", ["write", "bulk_write", "read"])
def test_transaction_that_waits_for_a_migration_rejects_its_schema(
    service: Service, settings: Settings, transaction: str
) -> None:
    if transaction == "read" and not IS_POSTGRES:
        pytest.skip("On SQLite, readers do not wait: they see the snapshot before the migration.")
    mismatches: list[str] = []

    def run_transaction() -> None:
        try:
            with getattr(service.ledger.recorder, transaction)() as tx:
                tx.execute("SELECT count(*) FROM head")
        except SchemaMismatch as mismatch:
            mismatches.append(str(mismatch))

    waiting = threading.Thread(target=run_transaction, daemon=True)
    with open_ledger_database(settings) as other, other.schema_change() as tx:
        waiting.start()
        waiting.join(PAUSE_SECONDS)
        assert waiting.is_alive()
        tx.execute("UPDATE schema_version SET version = ?", (NEWER,))
    waiting.join(PATIENCE_SECONDS)
    assert len(mismatches) == 1
    assert f"schema {NEWER}" in mismatches[0]


def test_open_read_transaction_keeps_its_snapshot_during_migration(service: Service, settings: Settings) -> None:
    """On PostgreSQL the migration waits for the reader; on SQLite it does not."""

    def replace() -> None:
        with open_ledger_database(settings) as other, other.schema_change() as tx:
            tx.execute("ALTER TABLE traces RENAME TO former")
            tx.execute("CREATE TABLE traces (x INTEGER)")

    replacing = threading.Thread(target=replace, daemon=True)
    with service.ledger.recorder.read() as tx:
        replacing.start()
        replacing.join(PAUSE_SECONDS if IS_POSTGRES else PATIENCE_SECONDS)
        assert replacing.is_alive() is IS_POSTGRES
        assert tx.execute("SELECT count(trace_seq) FROM traces").fetchone()[0] == 0
    replacing.join(PATIENCE_SECONDS)
    assert not replacing.is_alive()
