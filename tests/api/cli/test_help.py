"""--help: every command tells what it does and what it can be given."""

import re

import pytest

from tests.support.processes.shell import Run, require_done

OPTIONS = {
    "serve": ["--host", "--port", "--workers"],
    "import": ["FILE", "--partner", "--json"],
    "inventory": [
        "--partner", "--channel", "--merchant-id", "--external-id", "--status", "-q", "--limit", "--as-of", "--cursor",
        "--json",
    ],
    "history": ["OFFER_UID", "--external-id", "--partner", "--merchant-id", "--json"],
    "diff": ["--from", "--to", "--partner", "--limit", "--cursor", "--json"],
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
def test_every_command_has_help_and_a_short_name_for_it(run: Run, command: str) -> None:
    told = require_done(run(*command.split(), "--help"))
    assert f"Usage: offer-ledger {command} " in told
    assert require_done(run(*command.split(), "-h")) == told


@pytest.mark.parametrize(("command", "option"), [(command, o) for command, options in OPTIONS.items() for o in options])
def test_help_names_each_option_in_full(run: Run, command: str, option: str) -> None:
    told = require_done(run(*command.split(), "--help"))
    assert re.search(rf"(?<![\w-]){option}(?![\w…-])", told)


@pytest.mark.parametrize("command", COMMANDS)
def test_the_programs_help_names_each_command(run: Run, command: str) -> None:
    assert f"\n  {command} " in require_done(run("--help"))


@pytest.mark.parametrize(("group", "command"), [(group, c) for group, commands in GROUPS.items() for c in commands])
def test_a_groups_help_names_each_of_its_commands(run: Run, group: str, command: str) -> None:
    assert f"\n  {command} " in require_done(run(group, "--help"))


def test_the_programs_help_tells_where_the_ledger_lies(run: Run) -> None:
    assert "OFFER_LEDGER_DATABASE_URL (sqlite:///offer-ledger.db" in require_done(run("--help"))


def test_help_needs_no_usable_settings(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OFFER_LEDGER_MAX_ITEMS", "none")
    require_done(run("import", "--help"))


@pytest.mark.parametrize("command", ["", *GROUPS])
def test_a_program_or_group_without_a_command_shows_its_help_as_a_usage_error(run: Run, command: str) -> None:
    ended = run(*command.split())
    assert ended.exit_code == 2
    assert f"Usage: offer-ledger {command}".strip() in ended.stderr
