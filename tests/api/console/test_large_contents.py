"""Pages of offers with very many members show the first ones and the number of the others."""

import json
from pathlib import Path
from typing import Any

import pytest
from msgspec import Raw

from api.console.content_view import MEMBERS_SHOWN, assets_in, shown_content, title_in
from api.settings import Settings
from domain.offers.value_count import MAX_VALUES
from tests.support.calls.console_pages import ConsoleReader
from tests.support.calls.merchants import PNG, history_of, merchant_offer, put, uid_of
from tests.support.examples import body
from tests.support.harness import Caller


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """An older version has stored contents of more values than the default bound."""
    return Settings(database_url=f"sqlite:///{tmp_path}/ledger.db", max_content_values=3 * MAX_VALUES)


def large_offer(members: int, value: int = 1) -> dict[str, Any]:
    return merchant_offer(image=PNG) | {f"m{number}": value for number in range(members)}


def test_page_counts_the_members_that_it_does_not_show(partner: Caller, operator: ConsoleReader) -> None:
    put(partner, large_offer(900))
    page = operator.read(f"/offers/{uid_of()}")
    others = 900 + len(merchant_offer()) - MEMBERS_SHOWN
    assert page.count(f"and {others} other members") == 1
    assert page.count(f"and {others + 1} other fields") == 1
    assert "m899" not in page


def test_page_of_very_many_values_is_short(partner: Caller, operator: ConsoleReader) -> None:
    for value in (1, 2):
        assert put(partner, large_offer(2 * MAX_VALUES, value)).status_code == 202
    page = operator.read(f"/offers/{uid_of()}")
    assert "and other members: the content has 20,0" in page
    assert len(operator.page) < 100_000
    assert all(text in page for text in ("m50 2", "Juniper Noodle House", "logo, inline"))


def test_history_of_very_many_values_has_one_change(partner: Caller) -> None:
    for value in (1, 2):
        put(partner, large_offer(2 * MAX_VALUES, value))
    created, updated = history_of(partner)
    assert [[change["field"] for change in item["changes"]] for item in (created, updated)] == [
        ["/status", "/content"],
        ["/content"],
    ]
    (change,) = updated["changes"]
    assert (change["before"], change["after"]) == (large_offer(2 * MAX_VALUES, 1), large_offer(2 * MAX_VALUES, 2))


@pytest.mark.parametrize(
    "content",
    ['{"a":1,"b":[%s]}', ' {\n"a" : 1 ,"b" :[%s] } ', '{"a":1,"b":"%s","c":[%s]}'],
)
def test_first_members_are_read_without_the_rest(content: str) -> None:
    many = ",".join("0" for _ in range(10 * MAX_VALUES))
    shown = shown_content(Raw(content.replace("%s", many).encode()))
    assert shown.members == {"a": 1}
    assert (shown.values or 0) > MAX_VALUES


def test_title_and_assets_of_very_many_values_are_not_decoded() -> None:
    many = [0] * 3 * MAX_VALUES
    content = Raw(body({"headline": many, "offerName": "A name", "assets": many}))
    assert (title_in(content), assets_in(content)) == ("A name", {})
    assert json.loads(bytes(content))["headline"] == many
