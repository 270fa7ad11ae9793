"""offer-ledger settings"""

import pytest

from api.cli.actions.upkeep.setup import without_secrets
from api.settings import Settings
from tests.support.processes.shell import Run, database_exists, require_success

HIDDEN_URLS = {
    "postgresql://ledger:swordfish@db.example:5433/ledger": "postgresql://ledger:(hidden)@db.example:5433/ledger",
    "postgresql://ledger@db.example/ledger?password=swordfish&sslmode=require": (
        "postgresql://ledger@db.example/ledger?password=(hidden)&sslmode=require"
    ),
    "postgresql://u:sword/fish@[::1]/ledger": "postgresql://u:(hidden)@[::1]/ledger",
    "postgresql://u:sword@fish@h1,h2:5433/ledger": "postgresql://u:(hidden)@h1,h2:5433/ledger",
    "postgresql:///ledger?host=/run/postgresql": "postgresql:///ledger?host=/run/postgresql",
    "redis://:swordfish@redis.example:6379/0": "redis://:(hidden)@redis.example:6379/0",
    "sqlite:///offer-ledger.db": "sqlite:///offer-ledger.db",
}


@pytest.mark.parametrize("url", HIDDEN_URLS)
def test_url_is_shown_without_secrets(url: str) -> None:
    assert without_secrets(url) == HIDDEN_URLS[url]


def test_settings_name_each_source_and_hide_keys(
    run_without_ledger: Run, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OFFER_LEDGER_MAX_ITEMS", "7")
    monkeypatch.setenv("OFFER_LEDGER_PSEUDONYM_KEY", "swordfish" * 4)
    monkeypatch.setenv("OFFER_LEDGER_REDIS_URL", "redis://:swordfish@localhost:6379/0")
    ended = run_without_ledger("settings", "--json")
    shown = {item["setting"]: (item["value"], item["source"]) for item in ended.json["items"]}
    assert shown.keys() == {f"OFFER_LEDGER_{name.upper()}" for name in Settings.model_fields}
    assert shown["OFFER_LEDGER_MAX_ITEMS"] == (7, "environment")
    assert shown["OFFER_LEDGER_LEASE_SECONDS"] == (10, "default")
    assert shown["OFFER_LEDGER_DATABASE_URL"][1] == "environment"
    assert "swordfish" not in ended.stdout
    assert not database_exists(settings)


def test_settings_name_the_database_option_as_source(run_without_ledger: Run) -> None:
    printed = require_success(run_without_ledger("settings", "--database", "sqlite:///other.db"))
    (line,) = (line for line in printed.splitlines() if "sqlite:///other.db" in line)
    assert line.split() == ["OFFER_LEDGER_DATABASE_URL", "sqlite:///other.db", "--database"]
