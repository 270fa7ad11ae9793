"""The README's example of a new question, on a ledger and beside a server that are running."""

import re
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from api.settings import Settings
from tests.support.calls.publishers import activate
from tests.support.histories.single_requests import merchant_key, send
from tests.support.processes.fault_server import PUBLISHERS_SECRET, SECRET, prepared
from tests.support.processes.shell import Ended, Program, RunningServer, environment, require_done, run_script

ROOT = Path(__file__).parents[2]
# Under another name: whoever has followed the example has the one of the README already.
CHAPTER = (ROOT / "README.md").read_text().split("### A new question")[1].split("\n## ")[0]
CHAPTER = CHAPTER.replace("activations_by_day", "activations_by_day_once_more")
(FILE,) = re.findall(r"^```python\n(.*?)^```$", CHAPTER, re.DOTALL | re.MULTILINE)
(LINE,) = re.findall(r"`(\w+\.PROJECTION,)`", CHAPTER)
(COMMAND,) = (told.split() for told in re.findall(r"^```sh\noffer-ledger (.*)\n```$", CHAPTER, re.MULTILINE))
PATH = re.findall(r"`(projections/\w+/\w+\.py)`", CHAPTER)[0]
NAME = Path(PATH).stem
KEYS = [merchant_key(f"MO-{number}") for number in range(3)]
ASK = f"""
from uuid import UUID
from api.wiring import open_service
from projections.redemption.{NAME} import days
with open_service() as service, service.ledger.recorder.reading() as tx:
    print(sum(day.activations for day in days(tx, UUID("{KEYS[0].offer_uid}"))))
"""


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    return prepared(tmp_path, monkeypatch, 10)


@pytest.fixture
def changed(tmp_path: Path) -> Program:
    """A copy of the program with the new file and its registration."""
    folder = tmp_path / "changed"
    for package in ("domain", "projections", "api"):
        shutil.copytree(ROOT / package, folder / package, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / PATH).write_text(FILE)
    projector = folder / "projections" / "projector.py"
    text = projector.read_text()
    text, imported = re.subn(
        r"^(from projections.redemption import \(?)", rf"\1{NAME}, ", text, count=1, flags=re.MULTILINE
    )
    text, registered = re.subn(r"(\nPROJECTIONS[^\n]*\(\n.*?)(\n\))", rf"\1\n    {LINE}\2", text, flags=re.DOTALL)
    assert (imported, registered) == (1, 1)
    projector.write_text(text)
    return Program((sys.executable, "-c", "from api.cli.main import main; main()"), folder)


def bring(server: RunningServer, number: int) -> None:
    """A new offer, and one more activation of the first one."""
    assert send(server.call(SECRET), KEYS[number], f"Open jar {number}").status_code == 202
    assert activate(server.call(PUBLISHERS_SECRET), str(KEYS[0].offer_uid), f"C-{number}").status_code == 201


def activations(settings: Settings) -> list[int]:
    with closing(sqlite3.connect(settings.database)) as connection:
        return [row[0] for row in connection.execute(f"SELECT activations FROM {NAME}")]


def require_contradiction(ended: Ended) -> None:
    assert ended.exit_code == 1
    assert NAME in ended.stdout


def test_the_examples_file_is_in_house_style(changed: Program) -> None:
    assert changed.folder
    shutil.copy(ROOT / "pyproject.toml", changed.folder)
    for check in (["check"], ["format", "--check"]):
        command = [sys.executable, "-m", "ruff", *check, "--quiet", changed.folder / PATH]
        subprocess.run(command, check=True, cwd=changed.folder)


def test_the_server_goes_on_without_the_table_and_follows_it_once_it_is_built(
    settings: Settings, changed: Program, tmp_path: Path
) -> None:
    with RunningServer(settings, tmp_path / "before.log") as server:
        bring(server, 0)
        assert NAME not in server.log
    with RunningServer(settings, tmp_path / "after.log", program=changed) as server:
        assert f"offer-ledger {' '.join(COMMAND)}" in server.log
        bring(server, 1)
        status = require_done(run_script(settings, "projections", "status", program=changed))
        assert re.search(rf"^{NAME} +not built$", status, re.MULTILINE)
        require_contradiction(run_script(settings, "projections", "verify", program=changed))
        require_done(run_script(settings, *COMMAND, program=changed))
        bring(server, 2)
    assert sum(activations(settings)) == 3
    require_done(run_script(settings, "projections", "verify", program=changed))
    asked = subprocess.run(
        [sys.executable, "-c", ASK],
        cwd=changed.folder,
        env=environment(settings),
        check=True,
        capture_output=True,
        text=True,
    )
    assert asked.stdout == "3\n"


def test_what_a_server_with_the_old_code_records_after_the_rebuild_is_missing_and_found(
    settings: Settings, changed: Program, tmp_path: Path
) -> None:
    with RunningServer(settings, tmp_path / "before.log") as server:
        bring(server, 0)
        require_done(run_script(settings, *COMMAND, program=changed))
        bring(server, 1)
    require_contradiction(run_script(settings, "projections", "verify", program=changed))
    assert "mended: " in require_done(run_script(settings, *COMMAND, program=changed))
    require_done(run_script(settings, "projections", "verify", program=changed))
