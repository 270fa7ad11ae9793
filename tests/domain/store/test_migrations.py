"""A ledger of an older schema becomes one of the present, step by step, and nothing that was recorded is another one after it."""

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
from domain.store.migrations import STEPS, MigrationStep, apply_steps, found_version, steps_from
from domain.store.schema import SCHEMA_VERSION, SchemaMismatch
from domain.values import Operation
from projections.maintenance.verification import verify
from tests.support.engine import IS_POSTGRES
from tests.support.examples import item
from tests.support.harness import Clock, run_batch
from tests.support.histories.full_ledger import record_everything
from tests.support.table_contents import rows as projected

OLDER, NEWER = SCHEMA_VERSION - 1, SCHEMA_VERSION + 1
PATIENCE_SECONDS = 30
A_MOMENT = 0.3


def with_notes(tx: Cursor) -> None:
    rows = tx.execute("SELECT commit_id, actor FROM commits").fetchall()
    notes = [(f"by {row['actor']}", row["commit_id"]) for row in rows]
    tx.executemany("UPDATE commits SET note = ? WHERE commit_id = ?", notes)


STEP = MigrationStep(
    SCHEMA_VERSION,
    "Commits have notes, and tell the newest commit and stream so far",
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
        with_notes,
    ),
)


def set_version(database: Database, version: int) -> None:
    with database.schema_change() as tx:
        tx.execute("UPDATE schema_version SET version = ?", (version,))


@contextmanager
def opened(settings: Settings) -> Iterator[Database]:
    database = open_database(settings.database_location)
    yield database
    database.close()


@pytest.fixture
def database(settings: Settings, clock: Clock) -> Iterator[Database]:
    """It holds an older ledger, with something of everything."""
    with open_service(settings, clock) as service:
        record_everything(service, clock)
    with opened(settings) as database:
        set_version(database, OLDER)
        yield database


def primary_rows(tx: Cursor) -> list[list[tuple[Any, ...]]]:
    """What the ledger was before the step, in the columns of that time."""
    told = (
        "SELECT * FROM events ORDER BY commit_id, ordinal",
        "SELECT * FROM head",
        "SELECT commit_id, first_position, recorded_at, partner, actor, run_id, digest, chain FROM commits ORDER BY 1",
        "SELECT * FROM runs ORDER BY run_seq",
    )
    return [[tuple(row) for row in tx.execute(statement).fetchall()] for statement in told]


def shape(database: Database) -> Any:
    with database.read_any_schema() as tx:
        return found_version(database), tx.dialect.columns(tx, tx.dialect.live, "commits"), primary_rows(tx)


def test_a_step_adds_columns_and_fills_them(database: Database) -> None:
    assert found_version(database) == OLDER
    assert apply_steps(database, STEP)
    assert found_version(database) == SCHEMA_VERSION
    with database.read() as tx:
        columns = {column.name: column for column in tx.dialect.columns(tx, tx.dialect.live, "commits")}
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


def test_what_was_recorded_is_the_same_after_it_and_the_ledger_goes_on(
    database: Database, settings: Settings, clock: Clock
) -> None:
    with database.read_any_schema() as tx:
        before = primary_rows(tx)
    set_version(database, SCHEMA_VERSION)
    with open_service(settings, clock) as service:
        projections = projected(service.ledger)
    set_version(database, OLDER)
    apply_steps(database, STEP)
    with database.read_any_schema() as tx:
        assert primary_rows(tx) == before
    with open_service(settings, clock) as service:
        assert projected(service.ledger) == projections
        assert verify(service.ledger) == []
        run_batch(service.ledger, Operation.INSERT, [item("TP-30")])
        assert verify(service.ledger) == []


def test_a_step_that_fails_in_its_midst_leaves_the_ledger_as_it_was(database: Database) -> None:
    before = shape(database)

    def fail(_tx: Cursor) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        apply_steps(database, MigrationStep(SCHEMA_VERSION, STEP.does, (*STEP.actions, fail)))
    assert shape(database) == before
    assert apply_steps(database, STEP)


def die(_tx: Cursor) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _migrate_and_die(settings: Settings) -> None:
    with opened(settings) as database:
        apply_steps(database, MigrationStep(SCHEMA_VERSION, STEP.does, (*STEP.actions, die)))


def test_a_migration_that_is_killed_leaves_the_ledger_as_it_was(database: Database, settings: Settings) -> None:
    before = shape(database)
    migrating = get_context("spawn").Process(target=_migrate_and_die, args=(settings,))
    migrating.start()
    migrating.join(PATIENCE_SECONDS)
    assert migrating.exitcode == -signal.SIGKILL
    assert shape(database) == before
    assert apply_steps(database, STEP)


def test_a_step_is_carried_out_once_whoever_comes_second(database: Database) -> None:
    assert apply_steps(database, STEP)
    done = shape(database)
    assert not apply_steps(database, STEP, before=lambda: pytest.fail("there is nothing to copy any more"))
    assert shape(database) == done


def test_what_comes_before_a_step_comes_when_nobody_writes(database: Database, settings: Settings) -> None:
    """So a copy that is made then is of the state that is migrated."""
    with opened(settings) as other:
        writer = threading.Thread(target=set_version, args=(other, NEWER), daemon=True)

        def look() -> None:
            writer.start()
            writer.join(A_MOMENT)
            assert writer.is_alive()

        assert apply_steps(database, STEP, before=look)
        writer.join(PATIENCE_SECONDS)
        assert found_version(database) == NEWER


def test_a_step_tells_how_far_it_is(database: Database) -> None:
    told: list[tuple[int, int]] = []
    apply_steps(database, STEP, lambda done, total: told.append((done, total)))
    assert told == [(done, len(STEP.actions)) for done in range(len(STEP.actions) + 1)]


# Which steps


def test_a_ledger_goes_through_the_steps_after_its_version() -> None:
    steps = [MigrationStep(version, "", ()) for version in range(2, SCHEMA_VERSION + 1)]
    assert steps_from(OLDER, steps) == steps[-1:]
    assert steps_from(1, steps) == steps
    assert steps_from(SCHEMA_VERSION, steps) == []


def test_a_ledger_that_no_step_leads_away_from_is_refused() -> None:
    with pytest.raises(SchemaMismatch, match=f"schema {OLDER}; this program knows no way"):
        steps_from(OLDER, [])
    with pytest.raises(SchemaMismatch, match="no way"):
        steps_from(1, [step for step in STEPS if step.version != SCHEMA_VERSION])


def test_a_newer_ledger_is_refused() -> None:
    with pytest.raises(SchemaMismatch, match=f"schema {NEWER}; this program is older"):
        steps_from(NEWER)


def test_an_empty_database_has_no_version(settings: Settings) -> None:
    with opened(settings) as database:
        assert found_version(database) is None


def test_what_is_no_ledger_is_not_migrated(settings: Settings) -> None:
    with opened(settings) as database:
        with database.schema_change() as tx:
            for statement in database.create_statements(["CREATE TABLE commits (x INTEGER)"])[:-1]:
                tx.execute(statement)
        with pytest.raises(SchemaMismatch, match="something else"):
            found_version(database)


# Beside processes that go on


@pytest.mark.parametrize("version", [OLDER, NEWER])
def test_a_process_that_has_the_ledger_open_neither_writes_nor_reads_another_schema(
    service: Service, settings: Settings, version: int
) -> None:
    with opened(settings) as other:
        set_version(other, version)
    with pytest.raises(SchemaMismatch, match=f"schema {version}"):
        run_batch(service.ledger, Operation.INSERT, [item("TP-1")])
    with pytest.raises(SchemaMismatch, match=f"schema {version}"):
        service.ledger.recorder.max_notification_id()


@pytest.mark.parametrize("way", ["writing", "storing", "reading"])
def test_who_waits_for_a_migration_finds_another_schema_after_it(
    service: Service, settings: Settings, way: str
) -> None:
    if way == "reading" and not IS_POSTGRES:
        pytest.skip("On SQLite readers wait for nobody: they see the ledger as it was.")
    found: list[str] = []

    def ask() -> None:
        try:
            with getattr(service.ledger.recorder, way)() as tx:
                tx.execute("SELECT count(*) FROM head")
        except SchemaMismatch as mismatch:
            found.append(str(mismatch))

    asking = threading.Thread(target=ask, daemon=True)
    with opened(settings) as other, other.schema_change() as tx:
        asking.start()
        asking.join(A_MOMENT)
        assert asking.is_alive()
        tx.execute("UPDATE schema_version SET version = ?", (NEWER,))
    asking.join(PATIENCE_SECONDS)
    assert len(found) == 1
    assert f"schema {NEWER}" in found[0]


def test_who_has_begun_to_read_reads_the_ledger_as_it_was(service: Service, settings: Settings) -> None:
    """On PostgreSQL the migration waits for that, on SQLite it does not have to."""

    def replace() -> None:
        with opened(settings) as other, other.schema_change() as tx:
            tx.execute("ALTER TABLE traces RENAME TO former")
            tx.execute("CREATE TABLE traces (x INTEGER)")

    replacing = threading.Thread(target=replace, daemon=True)
    with service.ledger.recorder.read() as tx:
        replacing.start()
        replacing.join(A_MOMENT)
        assert replacing.is_alive() is IS_POSTGRES
        assert tx.execute("SELECT count(trace_seq) FROM traces").fetchone()[0] == 0
    replacing.join(PATIENCE_SECONDS)
    assert not replacing.is_alive()
