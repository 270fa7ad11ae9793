"""`offer-ledger migrate` migrates an older ledger to this program's schema; other commands refuse an older ledger."""

import signal
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from api.channels.drop_folder import TAKEN_FOLDER
from api.service import Service
from api.settings import Settings
from domain.store.cursor import Cursor
from domain.store.migrations import MigrationStep
from domain.store.schema import SCHEMA_VERSION
from domain.store.sqlite.driver import connect
from domain.values import Operation
from tests.api.cli.test_environment import EVERY_LEDGER_COMMAND
from tests.support.engine import only_sqlite
from tests.support.examples import batch, body, item
from tests.support.harness import Call, Caller, run_batch
from tests.support.processes.shell import Run, change_by_hand, require_refusal, require_success
from tests.support.processes.watch_process import RunningWatch, drop_day, file_of, files_by_folder
from tests.support.waiting import PATIENCE_SECONDS

pytestmark = only_sqlite

OLDER, NEWER = SCHEMA_VERSION - 1, SCHEMA_VERSION + 1
STEP = MigrationStep(SCHEMA_VERSION, "Commits have notes", ("ALTER TABLE commits ADD COLUMN note TEXT",))
FOUND_LINE = f"The ledger has schema {OLDER}. This program needs schema {SCHEMA_VERSION}."
STEP_LINE = f"To schema {SCHEMA_VERSION}: Commits have notes."


def set_version(settings: Settings, version: int) -> None:
    change_by_hand(settings, f"UPDATE schema_version SET version = {version}")


def read_state(file: Path) -> tuple[int, bool, int]:
    """Returns the schema version of a ledger, whether the step has been applied, and the position."""
    with closing(connect(file)) as connection:
        version: Any = connection.execute("SELECT version FROM schema_version").get
        columns = [row[1] for row in connection.execute("PRAGMA table_info(commits)")]
        position: Any = connection.execute("SELECT position FROM head").get
    return version, "note" in columns, position


@pytest.fixture
def older(settings: Settings, service: Service, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A ledger of the previous schema version, and a migration step that exists only in this test."""
    monkeypatch.setattr("api.cli.actions.upkeep.maintenance.STEPS", (STEP,))
    run_batch(service.ledger, Operation.INSERT, [item("TP-1")])
    set_version(settings, OLDER)
    return settings.database


BEFORE, AFTER = (OLDER, False, 2), (SCHEMA_VERSION, True, 2)


# Migration


def test_older_ledger_is_migrated(run: Run, older: Path) -> None:
    *lines, last = require_success(run("migrate")).splitlines()
    assert lines == [FOUND_LINE, STEP_LINE]
    assert last == "Migrated the ledger. To check it, run: offer-ledger projections verify"
    assert read_state(older) == AFTER
    require_success(run("projections", "verify"))
    require_success(run("inventory"))


def test_dry_run_prints_the_steps_and_changes_nothing(run: Run, older: Path, tmp_path: Path) -> None:
    lines = require_success(run("migrate", "--dry-run", "--backup", tmp_path / "copy.db")).splitlines()
    assert lines == [FOUND_LINE, STEP_LINE, "Dry run: nothing was changed."]
    assert read_state(older) == BEFORE
    assert not (tmp_path / "copy.db").exists()


@pytest.mark.parametrize("dry", [True, False])
def test_json_has_the_steps(run: Run, older: Path, *, dry: bool) -> None:
    document = run("migrate", "--json", *["--dry-run"] * dry).json
    steps = [{"to": SCHEMA_VERSION, "does": STEP.description}]
    assert document == {"from": OLDER, "to": SCHEMA_VERSION, "steps": steps, "dryRun": dry}
    assert read_state(older) == (BEFORE if dry else AFTER)


def test_ledger_with_the_present_schema_has_no_steps(run: Run, service: Service) -> None:
    before = service.ledger.recorder.max_notification_id()
    for options in ([], ["--dry-run"]):
        (line,) = require_success(run("migrate", *options)).splitlines()
        assert "nothing to migrate" in line
    assert run("migrate", "--json").json["steps"] == []
    assert service.ledger.recorder.max_notification_id() == before


# The copy


def test_ledger_is_copied_before_the_first_step(run: Run, older: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy.db"
    require_success(run("migrate", "--backup", copy))
    assert (read_state(copy), read_state(older)) == (BEFORE, AFTER)


def test_failed_copy_prevents_the_migration(run: Run, older: Path, tmp_path: Path) -> None:
    (existing := tmp_path / "existing.db").touch()
    for path, reason in ((existing, "already exists"), (tmp_path / "none" / "copy.db", "cannot write")):
        ended = run("migrate", "--backup", path)
        assert (ended.exit_code, ended.stdout.splitlines()) == (1, [FOUND_LINE, STEP_LINE])
        assert ended.stderr.startswith("--backup: ")
        assert reason in ended.stderr
        assert read_state(older) == BEFORE


def test_failed_step_is_reported_and_rolled_back(run: Run, older: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    failing = MigrationStep(SCHEMA_VERSION, STEP.description, (*STEP.actions, "UPDATE nowhere SET x = 1"))
    monkeypatch.setattr("api.cli.actions.upkeep.maintenance.STEPS", (failing,))
    ended = run("migrate")
    assert (ended.exit_code, ended.stderr) == (1, "Cannot use the database of the ledger: no such table: nowhere.\n")
    assert read_state(older) == BEFORE


def test_terminated_migration_is_rolled_back(run: Run, older: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def end(_tx: Cursor) -> None:
        signal.raise_signal(signal.SIGTERM)

    monkeypatch.setattr(
        "api.cli.actions.upkeep.maintenance.STEPS",
        (MigrationStep(SCHEMA_VERSION, STEP.description, (*STEP.actions, end)),),
    )
    assert run("migrate").exit_code == 128 + signal.SIGTERM
    assert read_state(older) == BEFORE


# Refusals


@EVERY_LEDGER_COMMAND
def test_every_command_refuses_an_older_ledger_and_names_migrate(run: Run, settings: Settings, command: str) -> None:
    require_success(run("partners", "list"))
    set_version(settings, OLDER)
    require_refusal(run(*command.split()), f"schema {OLDER}", f"schema {SCHEMA_VERSION}", "offer-ledger migrate")


def test_server_refuses_an_older_ledger(run: Run, settings: Settings) -> None:
    require_success(run("partners", "list"))
    set_version(settings, OLDER)
    require_refusal(run("serve", "--port", 0), f"schema {OLDER}", "offer-ledger migrate")


@pytest.mark.parametrize("command", ["migrate", "migrate --dry-run", "serve --port 0", "backup --out copy.db"])
def test_newer_ledger_is_refused(run: Run, settings: Settings, command: str) -> None:
    require_success(run("partners", "list"))
    set_version(settings, NEWER)
    ended = run(*command.split())
    require_refusal(ended, f"schema {NEWER}", "this program is older")
    assert "offer-ledger migrate" not in ended.stderr


def test_too_old_ledger_is_refused(run: Run, settings: Settings) -> None:
    require_success(run("partners", "list"))
    set_version(settings, 1)
    ended = run("migrate")
    require_refusal(ended, "schema 1", "can't migrate")
    assert "offer-ledger migrate" not in ended.stderr


def test_database_of_another_program_is_refused_by_migrate(run_without_ledger: Run, settings: Settings) -> None:
    change_by_hand(settings, "CREATE TABLE customers (name TEXT)")
    require_refusal(run_without_ledger("migrate"), "something other than a ledger")


# Running processes


def test_server_running_during_a_migration_answers_503(call: Call, partner: Caller, settings: Settings) -> None:
    sent = body(batch("Insert", [item("TP-1")]))
    set_version(settings, NEWER)
    assert [reply.status_code for reply in (partner.send(sent), partner.get("/api/v1/offers"))] == [503, 503]
    assert call(None).get("/readyz").status_code == 503
    assert read_state(settings.database)[2] == 2
    set_version(settings, SCHEMA_VERSION)
    assert partner.send(sent).status_code == 200


@pytest.fixture
def watching(run: Run, settings: Settings, tmp_path: Path) -> Iterator[RunningWatch]:
    require_success(run("partners", "set", "tidepool"))
    (directory := tmp_path / "dropped").mkdir()
    with RunningWatch(settings, directory) as watching:
        yield watching


def test_watch_running_during_a_migration_stops_before_the_next_file(
    watching: RunningWatch, settings: Settings, tmp_path: Path
) -> None:
    set_version(settings, NEWER)
    file = drop_day(tmp_path / "dropped", 22, file_of("OFR-1"))
    assert watching.process.wait(PATIENCE_SECONDS) == 1
    assert "this program is older" in watching.stderr_lines[-1]
    assert files_by_folder(tmp_path / "dropped") == {TAKEN_FOLDER: [file.name]}
