"""offer-ledger partners"""

import re

import pytest

from tests.support.processes.shell import (
    Run,
    position,
    require_done,
    require_refusal,
    require_usage_error,
    require_usage_sentence,
)

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")


def limits(run: Run, name: str = "tidepool") -> tuple[int, int]:
    shown = run("partners", "show", name, "--json").json
    return shown["synchronizePerDay"], shown["insertPerHour"]


# set


def test_a_new_partner_has_one_run_of_each_kind(run: Run) -> None:
    require_done(run("partners", "set", "tidepool"))
    assert limits(run) == (1, 1)


def test_a_new_partner_gets_the_limits_that_are_given(run: Run) -> None:
    require_done(run("partners", "set", "tidepool", "--synchronize-per-day", 3, "--insert-per-hour", 0))
    assert limits(run) == (3, 0)


def test_only_what_is_given_is_changed(run: Run) -> None:
    run("partners", "set", "tidepool", "--synchronize-per-day", 3, "--insert-per-hour", 5)
    require_done(run("partners", "set", "tidepool", "--insert-per-hour", 0))
    assert limits(run) == (3, 0)


def test_a_change_is_one_event(run: Run) -> None:
    run("partners", "set", "tidepool")
    require_done(run("partners", "set", "tidepool", "--synchronize-per-day", 3, "--insert-per-hour", 5))
    assert position(run) == 2


@pytest.mark.parametrize("again", [[], ["--synchronize-per-day", 3]])
def test_setting_what_is_set_already_adds_no_event(run: Run, again: list[object]) -> None:
    run("partners", "set", "tidepool", "--synchronize-per-day", 3)
    require_done(run("partners", "set", "tidepool", *again))
    assert position(run) == 1


def test_set_prints_the_partner_as_it_is_now(run: Run) -> None:
    run("partners", "set", "tidepool", "--insert-per-hour", 5)
    printed = require_done(run("partners", "set", "tidepool", "--synchronize-per-day", 0))
    assert printed.splitlines()[1].split()[:3] == ["tidepool", "unlimited", "5"]


def test_set_prints_json_as_show_does(run: Run) -> None:
    assert run("partners", "set", "tidepool", "--json").json == run("partners", "show", "tidepool", "--json").json


@pytest.mark.parametrize("name", ["a", "A.b-c_9", "x" * 64, "0"])
def test_a_name_of_letters_digits_and_a_few_signs_is_good(run: Run, name: str) -> None:
    require_done(run("partners", "set", name))
    assert run("partners", "show", name, "--json").json["name"] == name


@pytest.mark.parametrize("name", ["", " ", "a b", ".a", "_a", "x" * 65, "a/b", "é", "a\n", "[bold]a[/bold]", "a\x1b[m"])
def test_any_other_name_is_a_usage_error_that_names_the_argument(run: Run, name: str) -> None:
    require_usage_sentence(run("partners", "set", name), "NAME")
    assert run("partners", "list", "--json").json == {"items": []}


def test_names_that_differ_in_case_are_different_partners(run: Run) -> None:
    for name in ("tidepool", "Tidepool"):
        run("partners", "set", name)
    assert [item["name"] for item in run("partners", "list", "--json").json["items"]] == ["Tidepool", "tidepool"]


# show and list


def test_show_prints_one_partner(run: Run) -> None:
    for name in ("tidepool", "seagrass"):
        run("partners", "set", name)
    printed = require_done(run("partners", "show", "tidepool"))
    assert "tidepool" in printed
    assert "seagrass" not in printed


def test_show_refuses_an_unknown_partner(run: Run) -> None:
    require_refusal(run("partners", "show", "nobody"), "nobody")


def test_show_refuses_an_unknown_partner_with_json_too(run: Run) -> None:
    require_refusal(run("partners", "show", "nobody", "--json"), "nobody")


def test_json_of_a_partner_tells_its_name_its_limits_and_its_times(run: Run) -> None:
    run("partners", "set", "tidepool")
    shown = run("partners", "show", "tidepool", "--json").json
    limits = ["synchronizePerDay", "insertPerHour", "rps", "dailyQuota", "missingFromFile", "redemptionWindowDays"]
    assert list(shown) == ["name", *limits, "createdAt", "updatedAt"]
    assert TIME.fullmatch(shown["createdAt"])
    assert shown["updatedAt"] == shown["createdAt"]


def test_a_change_moves_the_time_of_change_only(run: Run) -> None:
    before = run("partners", "set", "tidepool", "--json").json
    after = run("partners", "set", "tidepool", "--insert-per-hour", 9, "--json").json
    assert after["createdAt"] == before["createdAt"]
    assert after["updatedAt"] > before["updatedAt"]


def test_partners_are_listed_by_name(run: Run) -> None:
    for name in ("seagrass", "tidepool", "anemone"):
        run("partners", "set", name)
    printed = require_done(run("partners", "list"))
    assert [line.split()[0] for line in printed.splitlines()[1:]] == ["anemone", "seagrass", "tidepool"]


def test_json_of_the_list_has_the_items_as_show_gives_them(run: Run) -> None:
    run("partners", "set", "tidepool")
    assert run("partners", "list", "--json").json == {"items": [run("partners", "show", "tidepool", "--json").json]}


def test_an_empty_list_says_how_to_create_a_partner(run: Run) -> None:
    assert "offer-ledger partners set" in require_done(run("partners", "list"))


def test_an_empty_list_is_an_empty_list_in_json(run: Run) -> None:
    assert run("partners", "list", "--json").json == {"items": []}


@pytest.mark.parametrize("days", [30, 45])
def test_redemption_windows_have_30_to_45_days(run: Run, days: int) -> None:
    assert run("partners", "set", "tidepool", "--json").json["redemptionWindowDays"] == 45
    set_so = run("partners", "set", "tidepool", "--redemption-window-days", days, "--json")
    assert set_so.json["redemptionWindowDays"] == days
    for other in (29, 46, "x"):
        require_usage_error(run("partners", "set", "tidepool", "--redemption-window-days", other))
