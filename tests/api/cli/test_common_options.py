"""All commands have the option --database, and an example in the help."""

import shlex
from pathlib import Path

import pytest

from api.cli.registry import examples_of
from tests.docs.test_pages import COMMANDS
from tests.support.engine import only_sqlite
from tests.support.generated_pages import ROOT
from tests.support.processes.shell import Run, require_success, require_usage_error

EVERY_COMMAND = pytest.mark.parametrize("command", [name.removeprefix("offer-ledger ") for name in COMMANDS])


@EVERY_COMMAND
def test_help_has_the_database_and_an_example(run: Run, command: str) -> None:
    printed = require_success(run(*command.split(), "--help"))
    assert "--database URL" in printed
    assert f"\n    offer-ledger {command}" in printed.partition("Example")[2]
    assert all(len(line) <= 80 for line in printed.splitlines())


@EVERY_COMMAND
def test_example_has_only_options_of_its_command(command: str) -> None:
    known = {option for param in COMMANDS[f"offer-ledger {command}"].params for option in param.opts}
    words = shlex.split("\n".join(examples_of(COMMANDS[f"offer-ledger {command}"])))
    assert {word for word in words if word.startswith("--")} <= known


def test_database_option_overrides_the_setting(run: Run, tmp_path: Path) -> None:
    other = f"sqlite:///{tmp_path / 'other.db'}"
    assert run("partners", "set", "harbor", "--database", other).exit_code == 0
    assert "harbor" in require_success(run("partners", "list", "--database", other))
    assert (tmp_path / "other.db").exists()


@pytest.mark.parametrize(
    "url", ["", "ledger.db", "mysql://localhost/ledger", "postgresql://me:swordfish@localhost/%zz"]
)
def test_invalid_database_is_a_usage_error_that_names_the_option(run: Run, url: str) -> None:
    ended = run("partners", "list", "--database", url)
    require_usage_error(ended, "--database")
    assert "swordfish" not in ended.stderr
    assert "OFFER_LEDGER_DATABASE_URL" not in ended.stderr


@only_sqlite
def test_examples_of_the_help_succeed(partnered: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Servers, the drop folder and the example of a single request, which only a server makes, are left out."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    require_success(partnered("import", "examples/batch-insert.json", "--partner", "tidepool"))
    run_id = partnered("runs", "list", "--json").json["items"][0]["runId"]
    failed = []
    for command in COMMANDS:
        if command.removeprefix("offer-ledger ") in {"serve", "watch", "demo", "requests show"}:
            continue
        lines = "\n".join(examples_of(COMMANDS[command])).replace("\\\n", " ").splitlines()
        assert lines, command
        for line in lines:
            words = shlex.split(line.replace("7be2c2fa-7d57-4cc0-b0a0-3d1bd3a7c2a6", run_id))
            ended = partnered(*words[1:])
            failed += [(line, ended.stderr)] * (ended.exit_code != 0)
    assert failed == []
