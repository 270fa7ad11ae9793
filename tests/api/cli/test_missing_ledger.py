"""Commands where no ledger exists: three create one, all others refuse, name the checked place and create nothing."""

import hashlib
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from api.settings import Settings
from api.wiring import create_ledger, open_service
from domain.store.sqlite.driver import connect
from tests.docs.test_pages import COMMANDS
from tests.support.engine import only_postgres, only_sqlite
from tests.support.processes.shell import (
    DATABASE_URL,
    SCHEMA,
    Run,
    RunningServer,
    change_by_hand,
    database_exists,
    require_refusal,
    require_success,
)

BATCH = Path(__file__).parents[3] / "examples" / "batch-insert.json"
UID = "6851e6d4-1908-5d30-b230-131c8e83c5db"
EXEMPT = {"serve", "init", "partners set", "demo", "settings", "restore"}
ARGUMENTS = {
    "import": f"{BATCH} --partner tidepool",
    "watch": ". --partner tidepool",
    "history": UID,
    "diff": "--from 1",
    "export": "inventory --out out.csv",
    "backup": "--out out.db",
    "replay": "--out out.db",
    "offers hold": f"{UID} --reason wrong",
    "offers release": f"{UID} --reason corrected",
    "verdict": f"--customer-id C-1 --offer-uid {UID} --transacted-at now",
    "partners show": "tidepool",
    "tokens create": "--role auditor --name books",
    "tokens revoke": "books",
    "runs show": UID,
    "runs items": UID,
    "runs undo": f"{UID} --reason Typo",
    "requests show": "req-1",
    "quota": "--partner tidepool",
}
REFUSING = [name for name in (name.removeprefix("offer-ledger ") for name in COMMANDS) if name not in EXEMPT]
EVERY_REFUSING_COMMAND = pytest.mark.parametrize("command", [*REFUSING, "migrate --dry-run"])
NO_LEDGER = "There is no ledger in"


def words(command: str) -> list[str]:
    return [*command.split(), *ARGUMENTS.get(command, "").split()]


def contents(folder: Path) -> dict[str, str]:
    """Returns a digest of each file."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@EVERY_REFUSING_COMMAND
def test_command_without_a_ledger_refuses_and_creates_nothing(
    run_without_ledger: Run, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    monkeypatch.chdir(tmp_path)
    before = contents(tmp_path)
    place = settings.database_schema if settings.is_shared else str(settings.database)
    require_refusal(run_without_ledger(*words(command)), NO_LEDGER, place, "offer-ledger init")
    assert not database_exists(settings)
    assert contents(tmp_path) == before


@only_sqlite
@EVERY_REFUSING_COMMAND
def test_command_leaves_a_foreign_file_as_it_is(
    run_without_ledger: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty.db").touch()
    (tmp_path / "text.db").write_text("This is a letter, not a database.\n" * 100)
    with closing(connect(tmp_path / "foreign.db")) as foreign:
        foreign.execute("CREATE TABLE customers (name TEXT)")
    before = contents(tmp_path)
    for name in ("empty.db", "text.db", "foreign.db", "missing/ledger.db"):
        monkeypatch.setenv(DATABASE_URL, f"sqlite:///{name}")
        require_refusal(run_without_ledger(*words(command)), "ledger", str(tmp_path / name))
    assert contents(tmp_path) == before


@only_sqlite
@pytest.mark.parametrize("command", ["init", "partners set tidepool", "serve --port 0"])
def test_creating_command_leaves_a_foreign_file_as_it_is(
    run_without_ledger: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    with closing(connect(tmp_path / "foreign.db")) as foreign:
        foreign.execute("CREATE TABLE customers (name TEXT)")
    before = contents(tmp_path)
    for name in ("foreign.db", "missing/ledger.db"):
        monkeypatch.setenv(DATABASE_URL, f"sqlite:///{tmp_path / name}")
        require_refusal(run_without_ledger(*command.split()), "ledger", str(tmp_path / name))
    assert contents(tmp_path) == before


def test_init_creates_a_ledger_and_prints_where(run_without_ledger: Run, settings: Settings) -> None:
    place = settings.database_schema if settings.is_shared else str(settings.database)
    printed = require_success(run_without_ledger("init"))
    assert printed.startswith("Created a ledger in ")
    assert place in printed
    assert require_success(run_without_ledger("inventory")) == "No offers match.\n"


def test_init_changes_nothing_in_an_existing_ledger(run: Run) -> None:
    require_success(run("partners", "set", "tidepool"))
    before = run("projections", "status", "--json").json
    assert "Nothing was changed" in require_success(run("init"))
    assert run("init", "--json").json["created"] is False
    assert run("projections", "status", "--json").json == before


def test_init_of_an_older_ledger_names_the_migration(run: Run, settings: Settings) -> None:
    change_by_hand(settings, "UPDATE schema_version SET version = 5")
    assert "offer-ledger migrate" in require_success(run("init"))


@only_sqlite
def test_init_creates_a_ledger_in_an_empty_file(run_without_ledger: Run, settings: Settings) -> None:
    settings.database.touch()
    require_success(run_without_ledger("init"))
    require_success(run_without_ledger("projections", "verify"))


def test_first_partner_creates_the_ledger_and_reports_where(run_without_ledger: Run, settings: Settings) -> None:
    ended = run_without_ledger("partners", "set", "tidepool", "--json")
    assert ended.json["name"] == "tidepool"
    assert ended.stderr.startswith("Created a ledger in ")
    assert (settings.database_schema if settings.is_shared else str(settings.database)) in ended.stderr


def test_server_creates_the_ledger_and_reports_where(server: RunningServer, settings: Settings) -> None:
    place = settings.database_schema if settings.is_shared else str(settings.database)
    (line,) = (line for line in server.log.splitlines() if line.startswith("Created a ledger in "))
    assert place in line


def test_parallel_creations_make_one_ledger(settings: Settings) -> None:
    with ThreadPoolExecutor(8) as pool:
        places = list(pool.map(create_ledger, [settings] * 8))
    assert len([place for place in places if place]) == 1
    with open_service(settings, may_create=False) as service:
        assert service.ledger.recorder.newest_position() == 0


@only_postgres
def test_wrong_schema_name_lists_the_schemas_with_a_ledger(
    run: Run, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(SCHEMA, "misspelt")
    require_refusal(run("inventory"), NO_LEDGER, "the schema misspelt", f"have a ledger: {settings.database_schema}")


@only_postgres
def test_missing_ledger_is_named_without_a_password(
    run_without_ledger: Run, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    joint = "&" if "?" in settings.database_url else "?"
    monkeypatch.setenv(DATABASE_URL, f"{settings.database_url}{joint}password=swordfish")
    ended = run_without_ledger("inventory")
    require_refusal(ended, NO_LEDGER)
    assert "swordfish" not in ended.stderr
