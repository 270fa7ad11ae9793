"""Settings from the environment, and databases that are not a ledger of this program."""

import sys
from pathlib import Path

import pytest

from api.settings import Settings
from domain.store.database import MIN_CONNECTIONS
from tests.support.engine import IS_POSTGRES, only_sqlite
from tests.support.processes.shell import (
    DATABASE_URL,
    CommandResult,
    Run,
    by_hand,
    change_by_hand,
    require_refusal,
    require_success,
    require_usage_sentence,
    run_script,
)

REDIS_URL, REPLICA_URL = "OFFER_LEDGER_REDIS_URL", "OFFER_LEDGER_REPLICA_URL"
BAD_SETTINGS = [
    ("OFFER_LEDGER_DATABASE_URL", ""),
    ("OFFER_LEDGER_DATABASE_URL", "sqlite:///"),
    ("OFFER_LEDGER_DATABASE_URL", "ledger.db"),
    ("OFFER_LEDGER_DATABASE_URL", "mysql://localhost/ledger"),
    ("OFFER_LEDGER_DATABASE_URL", "postgresql://localhost/%zz"),
    pytest.param(REPLICA_URL, "postgresql://localhost/ledger", marks=only_sqlite),
    ("OFFER_LEDGER_DATABASE_SCHEMA", "Offers; DROP"),
    ("OFFER_LEDGER_DATABASE_CONNECTIONS", str(MIN_CONNECTIONS - 1)),
    ("OFFER_LEDGER_DATABASE_CONNECTIONS", "all"),
    ("OFFER_LEDGER_MAX_ITEMS", "0"),
    ("OFFER_LEDGER_MAX_ITEMS", "1.5"),
    ("OFFER_LEDGER_MAX_ITEMS", "many"),
    ("OFFER_LEDGER_MAX_ITEMS", ""),
    ("OFFER_LEDGER_MAX_BODY_BYTES", "0"),
    ("OFFER_LEDGER_MAX_BODY_BYTES", "-1"),
    (REDIS_URL, ""),
    (REDIS_URL, "localhost:6379"),
    (REDIS_URL, "memcached://localhost"),
    (REDIS_URL, "redis:///0"),
    (REDIS_URL, "redis://localhost/first"),
    (REDIS_URL, "redis://localhost:port"),
    (REDIS_URL, "redis://localhost?socket_timeout=long"),
    (REDIS_URL, "redis://localhost?sockettimeout=1"),
    (REDIS_URL, "unix://"),
]
BATCH = Path(__file__).parents[3] / "examples" / "batch-insert.json"
LEDGER_COMMANDS = [
    f"import {BATCH} --partner tidepool",
    "inventory",
    "history --external-id TP-1",
    "partners set tidepool",
    "partners show tidepool",
    "partners list",
    "tokens create --role auditor --name books",
    "tokens list",
    "tokens revoke books",
    "projections status",
    "projections rebuild",
    "projections verify",
]
EVERY_LEDGER_COMMAND = pytest.mark.parametrize(
    "command", [pytest.param(c, id=c.split(" -")[0][:19]) for c in LEDGER_COMMANDS]
)


def require_unusable(ended: CommandResult, *named: str) -> None:
    require_refusal(ended, "ledger", *named)


# Settings


@pytest.mark.parametrize(("variable", "value"), BAD_SETTINGS)
def test_invalid_setting_is_a_usage_error_that_names_its_variable(
    run: Run, monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    monkeypatch.setenv(variable, value)
    require_usage_sentence(run("partners", "list"), variable)


@pytest.mark.parametrize(
    "url", ["", "localhost:5432", "sqlite:///ledger.db", "postgresql://me:swordfish@localhost/%zz"]
)
def test_invalid_replica_url_is_a_usage_error_without_the_url(
    run: Run, monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    monkeypatch.setenv(DATABASE_URL, "postgresql://localhost/ledger")
    monkeypatch.setenv(REPLICA_URL, url)
    ended = run("partners", "list")
    require_usage_sentence(ended, REPLICA_URL)
    assert "swordfish" not in ended.stderr


@pytest.mark.parametrize("url", ["redis://localhost", "rediss://u:p@localhost:6380/1", "unix:///run/redis.sock?db=1"])
def test_commands_work_without_a_running_redis(run: Run, monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv(REDIS_URL, url)
    require_success(run("partners", "list"))


def test_redis_url_without_the_redis_package_is_a_usage_error(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "redis", None)
    monkeypatch.setenv(REDIS_URL, "redis://localhost")
    require_usage_sentence(run("partners", "list"), REDIS_URL, "not installed")


@pytest.mark.parametrize(
    ("variable", "nearest"),
    [
        ("OFFER_LEDGER_DATABASE", "OFFER_LEDGER_DATABASE_URL"),
        ("OFFER_LEDGER_DATABSE_SCHEMA", "OFFER_LEDGER_DATABASE_SCHEMA"),
        ("offer_ledger_max_item", "OFFER_LEDGER_MAX_ITEMS"),
        ("OFFER_LEDGER_QUIETLY", "OFFER_LEDGER_"),
        ("OFFER_LEDGER_", "OFFER_LEDGER_"),
    ],
)
def test_unknown_setting_is_rejected_with_the_nearest_name(
    run: Run, monkeypatch: pytest.MonkeyPatch, variable: str, nearest: str
) -> None:
    monkeypatch.setenv(variable, "swordfish")
    ended = run("partners", "list")
    require_usage_sentence(ended, f"{variable.upper()}: ", f"the nearest one is {nearest}")
    assert "swordfish" not in ended.stderr


def test_every_command_rejects_an_unknown_setting(
    run: Run, monkeypatch: pytest.MonkeyPatch, subtests: pytest.Subtests, tmp_path: Path
) -> None:
    monkeypatch.setenv("OFFER_LEDGER_MAX_ITEM", "1")
    out = tmp_path / "out"
    more = ["serve --port 0", "demo", "migrate", f"backup --out {out}", "export inventory", f"replay --out {out}"]
    for command in [*LEDGER_COMMANDS, *more, f"watch {tmp_path} --partner tidepool"]:
        with subtests.test(command):
            require_usage_sentence(run(*command.split()), "OFFER_LEDGER_MAX_ITEM: ", "OFFER_LEDGER_MAX_ITEMS")


def test_variables_of_the_tests_are_ignored(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OFFER_LEDGER_TEST_ANYTHING", "1")
    require_success(run("partners", "list"))


@EVERY_LEDGER_COMMAND
def test_every_command_validates_the_settings(run: Run, monkeypatch: pytest.MonkeyPatch, command: str) -> None:
    monkeypatch.setenv("OFFER_LEDGER_MAX_ITEMS", "0")
    require_usage_sentence(run(*command.split()), "OFFER_LEDGER_MAX_ITEMS")


def test_error_for_an_invalid_database_url_shows_a_valid_one(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(DATABASE_URL, "ledger.db")
    ended = run("partners", "list")
    require_usage_sentence(ended, DATABASE_URL, "sqlite:///")
    assert "http" not in ended.stderr


def test_error_for_an_invalid_database_url_hides_the_password(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(DATABASE_URL, "postgresql://ledger:swordfish@localhost/%zz")
    ended = run("partners", "list")
    require_usage_sentence(ended, DATABASE_URL)
    assert "swordfish" not in ended.stderr


def test_error_for_an_unreachable_database_hides_the_password(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("domain.store.postgres.connections.POOL_TIMEOUT_SECONDS", 0.5)
    monkeypatch.setenv(DATABASE_URL, "postgresql://ledger:swordfish@127.0.0.1:1/ledger")
    ended = run("partners", "list")
    assert (ended.exit_code, ended.stdout) == (1, "")
    assert "Cannot use the database of the ledger" in ended.stderr
    assert "swordfish" not in ended.stderr


def test_default_ledger_is_a_file_in_the_current_folder(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv(DATABASE_URL)
    require_success(run("init"))
    assert (tmp_path / "offer-ledger.db").exists()


# Databases


@only_sqlite
@EVERY_LEDGER_COMMAND
def test_every_command_refuses_a_file_that_is_not_a_database(run: Run, settings: Settings, command: str) -> None:
    text = "This is a letter, not a database.\n" * 100
    settings.database.write_text(text)
    require_unusable(run(*command.split()), "not a database")
    assert settings.database.read_text() == text


@EVERY_LEDGER_COMMAND
def test_every_command_refuses_a_ledger_with_an_unknown_schema(run: Run, settings: Settings, command: str) -> None:
    require_success(run("partners", "list"))
    change_by_hand(settings, "UPDATE schema_version SET version = 999")
    require_unusable(run(*command.split()), "schema 999")


@only_sqlite
def test_server_refuses_a_file_that_is_not_a_database(settings: Settings) -> None:
    settings.database.write_text("This is a letter, not a database.\n" * 100)
    require_unusable(run_script(settings, "serve", "--port", "0"), "not a database")


def test_server_refuses_a_ledger_with_an_unknown_schema(run: Run, settings: Settings) -> None:
    require_success(run("partners", "list"))
    change_by_hand(settings, "UPDATE schema_version SET version = 999")
    require_unusable(run_script(settings, "serve", "--port", "0"), "schema 999")


def test_database_in_a_missing_folder_is_refused(run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(DATABASE_URL, f"sqlite:///{tmp_path}/nowhere/ledger.db")
    require_unusable(run("partners", "list"))
    assert not (tmp_path / "nowhere").exists()


def test_folder_is_refused_as_a_database(run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(DATABASE_URL, f"sqlite:///{tmp_path}")
    require_unusable(run("partners", "list"))


@only_sqlite
def test_empty_file_becomes_a_ledger(run_without_ledger: Run, settings: Settings) -> None:
    settings.database.touch()
    assert run_without_ledger("partners", "set", "tidepool").exit_code == 0


def test_database_of_another_program_is_refused_and_not_changed(run_without_ledger: Run, settings: Settings) -> None:
    """Tables are created in an empty database only."""
    with by_hand(settings) as tx:
        if IS_POSTGRES:
            tx.execute(f"CREATE SCHEMA {settings.database_schema}")
        tx.execute("CREATE TABLE customers (name TEXT)")
    ended = run_without_ledger("partners", "set", "tidepool")
    with by_hand(settings) as tx:
        assert tx.dialect.table_names(tx) == {"customers"}
    require_unusable(ended)


def test_ledger_without_a_schema_version_is_refused(run: Run, settings: Settings) -> None:
    require_success(run("partners", "list"))
    change_by_hand(settings, "DELETE FROM schema_version")
    require_unusable(run("partners", "list"), "schema")
