"""offer-ledger partners"""

import re

import pytest

from tests.support.processes.shell import (
    Run,
    position,
    require_refusal,
    require_success,
    require_usage_error,
    require_usage_sentence,
)

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")


def limits(run: Run, name: str = "tidepool") -> tuple[int, int]:
    shown = run("partners", "show", name, "--json").json
    return shown["synchronizePerDay"], shown["insertPerHour"]


# set


def test_default_limits_are_one_run_of_each_kind(run: Run) -> None:
    require_success(run("partners", "set", "tidepool"))
    assert limits(run) == (1, 1)


def test_new_partner_gets_the_given_limits(run: Run) -> None:
    require_success(run("partners", "set", "tidepool", "--synchronize-per-day", 3, "--insert-per-hour", 0))
    assert limits(run) == (3, 0)


def test_set_changes_only_the_given_settings(run: Run) -> None:
    run("partners", "set", "tidepool", "--synchronize-per-day", 3, "--insert-per-hour", 5)
    require_success(run("partners", "set", "tidepool", "--insert-per-hour", 0))
    assert limits(run) == (3, 0)


def test_change_of_several_settings_is_one_event(run: Run) -> None:
    run("partners", "set", "tidepool")
    require_success(run("partners", "set", "tidepool", "--synchronize-per-day", 3, "--insert-per-hour", 5))
    assert position(run) == 2


@pytest.mark.parametrize("options", [[], ["--synchronize-per-day", 3]])
def test_set_without_a_change_adds_no_event(run: Run, options: list[object]) -> None:
    run("partners", "set", "tidepool", "--synchronize-per-day", 3)
    require_success(run("partners", "set", "tidepool", *options))
    assert position(run) == 1


def test_set_prints_the_new_settings(run: Run) -> None:
    run("partners", "set", "tidepool", "--insert-per-hour", 5)
    printed = require_success(run("partners", "set", "tidepool", "--synchronize-per-day", 0))
    assert printed.splitlines()[1].split()[:3] == ["tidepool", "unlimited", "5"]


def test_json_of_set_equals_the_json_of_show(run: Run) -> None:
    assert run("partners", "set", "tidepool", "--json").json == run("partners", "show", "tidepool", "--json").json


@pytest.mark.parametrize("name", ["a", "A.b-c_9", "x" * 64, "0"])
def test_name_may_have_letters_digits_dots_hyphens_and_underscores(run: Run, name: str) -> None:
    require_success(run("partners", "set", name))
    assert run("partners", "show", name, "--json").json["name"] == name


@pytest.mark.parametrize("name", ["", " ", "a b", ".a", "_a", "x" * 65, "a/b", "é", "a\n", "[bold]a[/bold]", "a\x1b[m"])
def test_invalid_partner_name_is_a_usage_error(run: Run, name: str) -> None:
    require_usage_sentence(run("partners", "set", name), "NAME")
    assert run("partners", "list", "--json").json == {"items": []}


def test_partner_names_are_case_sensitive(run: Run) -> None:
    for name in ("tidepool", "Tidepool"):
        run("partners", "set", name)
    assert [item["name"] for item in run("partners", "list", "--json").json["items"]] == ["Tidepool", "tidepool"]


# show and list


def test_show_prints_one_partner(run: Run) -> None:
    for name in ("tidepool", "seagrass"):
        run("partners", "set", name)
    printed = require_success(run("partners", "show", "tidepool"))
    assert "tidepool" in printed
    assert "seagrass" not in printed


def test_show_refuses_an_unknown_partner(run: Run) -> None:
    require_refusal(run("partners", "show", "nobody"), "nobody")


def test_show_as_json_refuses_an_unknown_partner(run: Run) -> None:
    require_refusal(run("partners", "show", "nobody", "--json"), "nobody")


def test_json_of_a_partner_has_its_name_settings_and_times(run: Run) -> None:
    run("partners", "set", "tidepool")
    shown = run("partners", "show", "tidepool", "--json").json
    limits = ["synchronizePerDay", "insertPerHour", "rps", "dailyQuota", "missingFromFile", "redemptionWindowDays"]
    assert list(shown) == ["name", *limits, "createdAt", "updatedAt"]
    assert TIME.fullmatch(shown["createdAt"])
    assert shown["updatedAt"] == shown["createdAt"]


def test_change_updates_only_the_time_of_the_change(run: Run) -> None:
    before = run("partners", "set", "tidepool", "--json").json
    after = run("partners", "set", "tidepool", "--insert-per-hour", 9, "--json").json
    assert after["createdAt"] == before["createdAt"]
    assert after["updatedAt"] > before["updatedAt"]


def test_partners_are_listed_by_name(run: Run) -> None:
    for name in ("seagrass", "tidepool", "anemone"):
        run("partners", "set", name)
    printed = require_success(run("partners", "list"))
    assert [line.split()[0] for line in printed.splitlines()[1:]] == ["anemone", "seagrass", "tidepool"]


def test_json_of_the_list_has_the_items_of_show(run: Run) -> None:
    run("partners", "set", "tidepool")
    assert run("partners", "list", "--json").json == {"items": [run("partners", "show", "tidepool", "--json").json]}


def test_empty_list_names_the_command_that_registers_a_partner(run: Run) -> None:
    assert "offer-ledger partners set" in require_success(run("partners", "list"))


def test_json_of_an_empty_partner_list_has_no_items(run: Run) -> None:
    assert run("partners", "list", "--json").json == {"items": []}


@pytest.mark.parametrize("days", [30, 45])
def test_redemption_window_may_have_30_to_45_days(run: Run, days: int) -> None:
    assert run("partners", "set", "tidepool", "--json").json["redemptionWindowDays"] == 45
    changed = run("partners", "set", "tidepool", "--redemption-window-days", days, "--json")
    assert changed.json["redemptionWindowDays"] == days
    for other in (29, 46, "x"):
        require_usage_error(run("partners", "set", "tidepool", "--redemption-window-days", other))
