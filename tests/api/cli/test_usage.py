"""Usage errors exit with 2, name the argument or option, and change nothing."""

from pathlib import Path

import pytest

from api.settings import Settings
from tests.api.cli.test_help import OPTIONS
from tests.support.engine import only_sqlite
from tests.support.processes.shell import (
    Run,
    database_exists,
    require_refusal,
    require_usage_error,
    require_usage_sentence,
)

INVALID_COMMANDS = [
    ("serve --port x", "--port"),
    ("serve --port 65536", "--port"),
    ("serve --workers 0", "--workers"),
    ("import", "FILE"),
    ("import missing.json --partner tidepool", "FILE"),
    ("import . --partner tidepool", "FILE"),
    ("inventory --limit 0", "--limit"),
    ("inventory --limit 1001", "--limit"),
    ("inventory --status gone", "--status"),
    ("inventory --status absent", "--status"),
    ("inventory --channel post", "--channel"),
    ("inventory --as-of yesterday", "--as-of"),
    ("inventory --as-of -1", "--as-of"),
    ("diff", "--from"),
    ("diff --from yesterday", "--from"),
    ("windows --state closed", "--state"),
    ("windows --at yesterday", "--at"),
    ("windows --offer-uid x", "--offer-uid"),
    ("verdict --customer-id C-1 --transacted-at 2026-11-22T12:00:00Z", "--offer-uid"),
    ("verdict --customer-id C-1 --offer-uid x --transacted-at 2026-11-22T12:00:00Z", "--offer-uid"),
    ("partners set", "NAME"),
    ("partners set tidepool --synchronize-per-day -1", "--synchronize-per-day"),
    ("partners set tidepool --synchronize-per-day 1.5", "--synchronize-per-day"),
    ("partners set tidepool --insert-per-hour -1", "--insert-per-hour"),
    ("partners set tidepool --insert-per-hour many", "--insert-per-hour"),
    ("partners show", "NAME"),
    ("tokens create --name books", "--role"),
    ("tokens create --role auditor", "--name"),
    ("tokens create --role king --name books", "--role"),
    ("tokens create --role auditor --name books --requests-per-minute -1", "--requests-per-minute"),
    ("tokens revoke", "NAME"),
]
WITHOUT_ARGUMENTS = ["inventory", "partners list", "tokens list", "projections status", "projections verify"]
HUGE = 2**63


@pytest.mark.parametrize(("command", "named"), INVALID_COMMANDS)
def test_invalid_or_missing_value_is_named_in_a_usage_error(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str, named: str
) -> None:
    monkeypatch.chdir(tmp_path)
    require_usage_error(run(*command.split()), named)


def test_import_requires_a_partner(run: Run, tmp_path: Path) -> None:
    (tmp_path / "offers.json").write_text("{}")
    require_usage_error(run("import", tmp_path / "offers.json"), "--partner")


@pytest.mark.parametrize("command", OPTIONS)
def test_unknown_option_is_a_usage_error_that_names_it(run: Run, command: str) -> None:
    require_usage_error(run(*command.split(), "--nonsense"), "--nonsense")


@pytest.mark.parametrize("command", WITHOUT_ARGUMENTS)
def test_surplus_argument_is_a_usage_error_that_names_it(run: Run, command: str) -> None:
    require_usage_error(run(*command.split(), "surplus"), "surplus")


@pytest.mark.parametrize("command", ["nonsense", "partners nonsense", "tokens nonsense", "projections nonsense"])
def test_unknown_command_is_a_usage_error_that_names_it(run: Run, command: str) -> None:
    require_usage_error(run(*command.split()), "nonsense")


def test_usage_error_does_not_open_the_ledger(run_without_ledger: Run, settings: Settings) -> None:
    require_usage_error(run_without_ledger("partners", "set", "tidepool", "--insert-per-hour", "-1"))
    assert not database_exists(settings)


@only_sqlite
def test_several_workers_on_sqlite_are_a_usage_error(run: Run) -> None:
    require_usage_sentence(run("serve", "--workers", 2), "--workers", "PostgreSQL")


@pytest.mark.parametrize("option", ["--synchronize-per-day", "--insert-per-hour"])
def test_too_large_run_limit_is_a_usage_error(run: Run, option: str) -> None:
    require_usage_error(run("partners", "set", "tidepool", option, HUGE), option)


def test_too_large_request_limit_is_a_usage_error(run: Run) -> None:
    command = ("tokens", "create", "--role", "auditor", "--name", "books", "--requests-per-minute", HUGE)
    require_usage_error(run(*command), "--requests-per-minute")


@pytest.mark.parametrize(
    "command", ["inventory", "history --external-id TP-1", "diff --from 0", "windows", "export events"]
)
def test_unknown_partner_in_a_filter_is_a_refusal(run: Run, command: str) -> None:
    require_refusal(run(*command.split(), "--partner", "typo"), "There is no partner named 'typo'")


@pytest.mark.parametrize(
    "command",
    ["partners show", "tokens revoke", "history --external-id", "inventory --partner", "inventory -q"],
)
def test_argument_that_is_not_utf8_gives_no_traceback(run: Run, command: str) -> None:
    """A shell passes bytes. Python represents bytes that are not UTF-8 as lone surrogates."""
    assert run(*command.split(), "\udcff").exit_code in {0, 1, 2}
