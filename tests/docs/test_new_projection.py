"""The recipe "A new projection" on a ledger that is in use, beside a running server with the old or the new code."""

import re
import sys
from contextlib import closing
from pathlib import Path

import pytest

from api.settings import Settings
from domain.store.sqlite.driver import connect
from tests.support.calls.publishers import activate
from tests.support.generated_pages import DOCS
from tests.support.histories.single_requests import merchant_key, send
from tests.support.processes.fault_server import PUBLISHER_SECRET, SECRET, new_ledger_settings
from tests.support.processes.shell import CommandResult, Program, RunningServer, require_success, run_script
from tests.support.recipes import apply, copy_project, edits_of

PAGE = DOCS / "contributing" / "new-projection.md"
NAME = "activations_by_day"
(COMMAND,) = (
    command.split() for command in re.findall(r"^```sh\noffer-ledger (.*)\n```$", PAGE.read_text(), re.MULTILINE)
)
KEYS = [merchant_key(f"MO-{number}") for number in range(3)]


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    return new_ledger_settings(tmp_path, monkeypatch, 10)


@pytest.fixture
def changed(tmp_path: Path) -> Program:
    """The program after the recipe."""
    folder = copy_project(tmp_path / "changed")
    for edit in edits_of(PAGE):
        apply(edit, folder)
    return Program((sys.executable, "-c", "from api.cli.main import main; main()"), folder)


def record(server: RunningServer, number: int) -> None:
    """Sends a new offer, and activates the first one for another customer."""
    assert send(server.call(SECRET), KEYS[number], f"Open jar {number}").status_code == 202
    assert activate(server.call(PUBLISHER_SECRET), str(KEYS[0].offer_uid), f"C-{number}").status_code == 201


def activations(settings: Settings) -> list[int]:
    with closing(connect(settings.database)) as connection:
        return [row[0] for row in connection.execute(f"SELECT activations FROM {NAME}")]


def require_difference(ended: CommandResult) -> None:
    assert ended.exit_code == 1
    assert NAME in ended.stdout


def test_server_works_without_the_table_and_updates_it_once_built(
    settings: Settings, changed: Program, tmp_path: Path
) -> None:
    with RunningServer(settings, tmp_path / "before.log") as server:
        record(server, 0)
        assert NAME not in server.log
    with RunningServer(settings, tmp_path / "after.log", program=changed) as server:
        assert f"offer-ledger {' '.join(COMMAND)}" in server.log
        record(server, 1)
        status = require_success(run_script(settings, "projections", "status", program=changed))
        assert re.search(rf"^{NAME} +not built$", status, re.MULTILINE)
        require_difference(run_script(settings, "projections", "verify", program=changed))
        require_success(run_script(settings, *COMMAND, program=changed))
        record(server, 2)
        days = server.call(PUBLISHER_SECRET).get(f"/api/v1/offers/{KEYS[0].offer_uid}/activation-days").json()["items"]
        assert sum(day["activations"] for day in days) == 3
    assert sum(activations(settings)) == 3
    require_success(run_script(settings, "projections", "verify", program=changed))


@pytest.mark.long
def test_verify_finds_what_old_code_recorded_after_the_rebuild(
    settings: Settings, changed: Program, tmp_path: Path
) -> None:
    with RunningServer(settings, tmp_path / "before.log") as server:
        record(server, 0)
        require_success(run_script(settings, *COMMAND, program=changed))
        record(server, 1)
    require_difference(run_script(settings, "projections", "verify", program=changed))
    assert "corrected: " in require_success(run_script(settings, *COMMAND, program=changed))
    require_success(run_script(settings, "projections", "verify", program=changed))
