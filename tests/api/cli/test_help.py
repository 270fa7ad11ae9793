"""Help texts: every command describes itself, its arguments and its options."""

import re
from importlib.metadata import version

import pytest

from tests.support.processes.shell import Run, require_success

OPTIONS = {
    "serve": ["--host", "--port", "--workers"],
    "import": ["FILE", "--partner", "--json"],
    "inventory": [
        "--partner", "--channel", "--merchant-id", "--external-id", "--status", "-q", "--limit", "--as-of", "--cursor",
        "--json",
    ],
    "history": ["OFFER_UID", "--external-id", "--partner", "--merchant-id", "--json"],
    "diff": ["--from", "--to", "--partner", "--kind", "--limit", "--cursor", "--json"],
    "export": ["events|inventory|windows", "--out", "--format", "--as-of", "--partner", "--after-position", "--json"],
    "backup": ["--out", "--json"],
    "migrate": ["--backup", "--dry-run", "--json"],
    "replay": ["--out", "--as-of", "--json"],
    "windows": ["--offer-uid", "--customer-id", "--partner", "--state", "--at", "--limit", "--cursor", "--json"],
    "verdict": ["--customer-id", "--offer-uid", "--transacted-at", "--as-of", "--json"],
    "partners set": ["NAME", "--synchronize-per-day", "--insert-per-hour", "--json"],
    "partners show": ["NAME", "--json"],
    "partners list": ["--json"],
    "tokens create": ["--role", "--partner", "--name", "--requests-per-minute", "--expires-at"],
    "tokens list": ["--json"],
    "tokens revoke": ["NAME"],
    "projections status": ["--json"],
    "projections rebuild": ["--only", "--json"],
    "projections verify": ["--json"],
}  # fmt: skip
GROUPS = {
    "partners": ["set", "show", "list"],
    "tokens": ["create", "list", "revoke"],
    "projections": ["status", "rebuild", "verify"],
}
COMMANDS = [
    "serve",
    "import",
    "inventory",
    "history",
    "diff",
    "export",
    "backup",
    "migrate",
    "replay",
    "windows",
    "verdict",
    *GROUPS,
]


@pytest.mark.parametrize("command", [*OPTIONS, *GROUPS])
def test_every_command_has_help_under_both_names(run: Run, command: str) -> None:
    printed = require_success(run(*command.split(), "--help"))
    assert f"Usage: offer-ledger {command} " in printed
    assert require_success(run(*command.split(), "-h")) == printed


@pytest.mark.parametrize(("command", "option"), [(command, o) for command, options in OPTIONS.items() for o in options])
def test_help_names_each_option_in_full(run: Run, command: str, option: str) -> None:
    printed = require_success(run(*command.split(), "--help"))
    assert re.search(rf"(?<![\w-]){option}(?![\w…-])", printed)


@pytest.mark.parametrize("command", COMMANDS)
def test_program_help_names_each_command(run: Run, command: str) -> None:
    assert f"\n  {command} " in require_success(run("--help"))


@pytest.mark.parametrize(("group", "command"), [(group, c) for group, commands in GROUPS.items() for c in commands])
def test_group_help_names_each_of_its_commands(run: Run, group: str, command: str) -> None:
    assert f"\n  {command} " in require_success(run(group, "--help"))


@pytest.mark.parametrize("command", ["", *GROUPS, "runs", "requests"])
def test_help_of_a_group_has_examples(run: Run, command: str) -> None:
    printed = require_success(run(*command.split(), "--help"))
    assert re.search(rf"\n  Examples?:\n    offer-ledger {command}", printed)


def test_summaries_of_commands_fit_the_width_of_a_terminal(run: Run) -> None:
    assert "..." not in require_success(run("--help")).partition("Commands:")[2]


def test_help_names_the_type_of_a_run_id(run: Run) -> None:
    assert "RUN_ID <UUID>" in require_success(run("runs", "show", "--help"))


def test_program_help_names_the_database_setting_and_its_default(run: Run) -> None:
    words = " ".join(require_success(run("--help")).split())
    assert "OFFER_LEDGER_DATABASE_URL sets the database of the ledger. Default: sqlite:///offer-ledger.db." in words


def test_help_works_with_invalid_settings(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OFFER_LEDGER_MAX_ITEMS", "none")
    require_success(run("import", "--help"))


@pytest.mark.parametrize("command", ["", *GROUPS])
def test_missing_command_is_a_usage_error_that_prints_the_help(run: Run, command: str) -> None:
    ended = run(*command.split())
    assert ended.exit_code == 2
    assert f"Usage: offer-ledger {command}".strip() in ended.stderr


def test_version_is_that_of_the_package(run: Run) -> None:
    assert require_success(run("--version")) == f"offer-ledger {version('offer-ledger')}\n"
