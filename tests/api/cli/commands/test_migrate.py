"""offer-ledger migrate: an older ledger is brought up to this program; until then, nothing else works with it."""

import signal
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from api.channels.drop_folder import TAKEN_FOLDER
from api.service import Service
from api.settings import Settings
from api.wiring import open_service
from domain.store.cursor import Cursor
from domain.store.migrations import MigrationStep
from domain.store.schema import SCHEMA_VERSION
from domain.values import Operation
from projections.maintenance.verification import verify
from tests.api.cli.test_environment import EVERY_OPENING
from tests.support.engine import only_sqlite
from tests.support.examples import batch, body, item
from tests.support.harness import Call, Caller, run_batch
from tests.support.processes.shell import PATIENCE_SECONDS, Run, change_by_hand, require_done, require_refusal
from tests.support.processes.watch_process import RunningWatch, drop_day, file_of, lying_in

pytestmark = only_sqlite

OLDER, NEWER = SCHEMA_VERSION - 1, SCHEMA_VERSION + 1
STEP = MigrationStep(SCHEMA_VERSION, "Commits have notes", ("ALTER TABLE commits ADD COLUMN note TEXT",))
FOUND = f"The ledger has schema {OLDER}; this program works with schema {SCHEMA_VERSION}."
TO_DO = f"To schema {SCHEMA_VERSION}: Commits have notes."


def set_version(settings: Settings, version: int) -> None:
    change_by_hand(settings, f"UPDATE schema_version SET version = {version}")


def found_in(file: Path) -> tuple[int, bool, int]:
    """A ledger's version, whether the step has been carried out, and its position."""
    with closing(sqlite3.connect(file)) as connection:
        (version,) = connection.execute("SELECT version FROM schema_version").fetchone()
        columns = [row[1] for row in connection.execute("PRAGMA table_info(commits)")]
        (position,) = connection.execute("SELECT position FROM head").fetchone()
    return version, "note" in columns, position


@pytest.fixture
def older(settings: Settings, service: Service, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A ledger of the version before, from which a step of the tests' own leads on."""
    monkeypatch.setattr("api.cli.commands.maintenance.STEPS", (STEP,))
    run_batch(service.ledger, Operation.INSERT, [item("TP-1")])
    set_version(settings, OLDER)
    return settings.database


BEFORE, AFTER = (OLDER, False, 2), (SCHEMA_VERSION, True, 2)


# What it does


def test_an_older_ledger_is_migrated_and_told_how_it_is_checked(run: Run, older: Path) -> None:
    *told, last = require_done(run("migrate")).splitlines()
    assert told == [FOUND, TO_DO]
    assert last == "Done. To check it: offer-ledger projections verify"
    assert found_in(older) == AFTER
    require_done(run("projections", "verify"))
    require_done(run("inventory"))


def test_a_dry_run_tells_the_same_and_changes_nothing(run: Run, older: Path, tmp_path: Path) -> None:
    told = require_done(run("migrate", "--dry-run", "--backup", tmp_path / "copy.db")).splitlines()
    assert told == [FOUND, TO_DO, "Nothing has been changed."]
    assert found_in(older) == BEFORE
    assert not (tmp_path / "copy.db").exists()


@pytest.mark.parametrize("dry", [True, False])
def test_programs_are_told_in_json(run: Run, older: Path, *, dry: bool) -> None:
    told = run("migrate", "--json", *["--dry-run"] * dry).json
    steps = [{"to": SCHEMA_VERSION, "does": STEP.does}]
    assert told == {"from": OLDER, "to": SCHEMA_VERSION, "steps": steps, "dryRun": dry}
    assert found_in(older) == (BEFORE if dry else AFTER)


def test_a_ledger_of_this_program_has_nothing_to_do(run: Run, service: Service) -> None:
    before = service.ledger.recorder.max_notification_id()
    for options in ([], ["--dry-run"]):
        (told,) = require_done(run("migrate", *options)).splitlines()
        assert "nothing to do" in told
    assert run("migrate", "--json").json["steps"] == []
    assert service.ledger.recorder.max_notification_id() == before


def test_where_there_is_no_ledger_an_empty_one_is_made(run: Run, settings: Settings) -> None:
    (told,) = require_done(run("migrate", "--dry-run")).splitlines()
    assert "no ledger yet" in told
    assert not settings.database.exists()
    assert run("migrate", "--json").json["from"] is None
    with open_service(settings) as made:
        assert verify(made.ledger) == []


# The copy


def test_the_ledger_is_copied_first(run: Run, older: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy.db"
    require_done(run("migrate", "--backup", copy))
    assert (found_in(copy), found_in(older)) == (BEFORE, AFTER)


def test_without_the_copy_that_was_asked_for_nothing_is_migrated(run: Run, older: Path, tmp_path: Path) -> None:
    (there := tmp_path / "there.db").touch()
    for place, why in ((there, "is there already"), (tmp_path / "none" / "copy.db", "can't be written")):
        ended = run("migrate", "--backup", place)
        assert (ended.exit_code, ended.stdout.splitlines()) == (1, [FOUND, TO_DO])
        assert ended.stderr.startswith("--backup: ")
        assert why in ended.stderr
        assert found_in(older) == BEFORE


def test_a_failing_step_is_told_and_leaves_the_ledger_as_it_was(
    run: Run, older: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    failing = MigrationStep(SCHEMA_VERSION, STEP.does, (*STEP.actions, "UPDATE nowhere SET x = 1"))
    monkeypatch.setattr("api.cli.commands.maintenance.STEPS", (failing,))
    ended = run("migrate")
    assert (ended.exit_code, ended.stderr) == (1, "The ledger's storage can't be used: no such table: nowhere.\n")
    assert found_in(older) == BEFORE


def test_one_that_is_asked_to_end_leaves_the_ledger_as_it_was(
    run: Run, older: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def end(_tx: Cursor) -> None:
        signal.raise_signal(signal.SIGTERM)

    monkeypatch.setattr(
        "api.cli.commands.maintenance.STEPS", (MigrationStep(SCHEMA_VERSION, STEP.does, (*STEP.actions, end)),)
    )
    assert run("migrate").exit_code == 128 + signal.SIGTERM
    assert found_in(older) == BEFORE


# What is refused


@EVERY_OPENING
def test_every_command_refuses_an_older_ledger_and_names_what_migrates_it(
    run: Run, settings: Settings, command: str
) -> None:
    require_done(run("partners", "list"))
    set_version(settings, OLDER)
    require_refusal(run(*command.split()), f"schema {OLDER}", f"schema {SCHEMA_VERSION}", "offer-ledger migrate")


def test_the_server_refuses_an_older_ledger_too(run: Run, settings: Settings) -> None:
    require_done(run("partners", "list"))
    set_version(settings, OLDER)
    require_refusal(run("serve", "--port", 0), f"schema {OLDER}", "offer-ledger migrate")


@pytest.mark.parametrize("command", ["migrate", "migrate --dry-run", "serve --port 0", "backup --out copy.db"])
def test_a_newer_ledger_is_refused_and_the_program_is_called_too_old(
    run: Run, settings: Settings, command: str
) -> None:
    require_done(run("partners", "list"))
    set_version(settings, NEWER)
    ended = run(*command.split())
    require_refusal(ended, f"schema {NEWER}", "this program is older")
    assert "offer-ledger migrate" not in ended.stderr


def test_a_ledger_that_is_too_old_to_be_migrated_is_refused(run: Run, settings: Settings) -> None:
    require_done(run("partners", "list"))
    set_version(settings, 1)
    ended = run("migrate")
    require_refusal(ended, "schema 1", "no way")
    assert "offer-ledger migrate" not in ended.stderr


def test_what_is_no_ledger_is_refused(run: Run, settings: Settings) -> None:
    change_by_hand(settings, "CREATE TABLE customers (name TEXT)")
    require_refusal(run("migrate"), "something else than a ledger")


# What goes on meanwhile


def test_a_server_that_goes_on_over_a_migration_answers_503_and_is_not_ready(
    call: Call, partner: Caller, settings: Settings
) -> None:
    sent = body(batch("Insert", [item("TP-1")]))
    set_version(settings, NEWER)
    assert [reply.status_code for reply in (partner.send(sent), partner.get("/api/v1/offers"))] == [503, 503]
    assert call(None).get("/readyz").status_code == 503
    assert found_in(settings.database)[2] == 2
    set_version(settings, SCHEMA_VERSION)
    assert partner.send(sent).status_code == 200


@pytest.fixture
def watching(run: Run, settings: Settings, tmp_path: Path) -> Iterator[RunningWatch]:
    require_done(run("partners", "set", "tidepool"))
    (directory := tmp_path / "dropped").mkdir()
    with RunningWatch(settings, directory) as watching:
        yield watching


def test_a_watch_that_goes_on_over_a_migration_ends_and_finishes_no_file(
    watching: RunningWatch, settings: Settings, tmp_path: Path
) -> None:
    set_version(settings, NEWER)
    file = drop_day(tmp_path / "dropped", 22, file_of("OFR-1"))
    assert watching.process.wait(PATIENCE_SECONDS) == 1
    assert "this program is older" in watching.heartbeat_write[-1]
    assert lying_in(tmp_path / "dropped") == {TAKEN_FOLDER: [file.name]}
