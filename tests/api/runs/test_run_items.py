"""What became of each offer of a run, asked for page by page? (contract, section 6)"""

from typing import Any
from uuid import uuid4

import httpx2
import pytest

from api.service import Service
from domain.store.records import run_outcomes
from tests.support.calls.paging import items_of, pages
from tests.support.calls.stalled_runs import accept_elsewhere, fail_elsewhere, run_path
from tests.support.examples import batch, body, item
from tests.support.harness import Caller

BROKEN = {"headline": ""}
OUTCOMES = ("created", "updated", "unchanged", "paused", "failed")

Told = list[tuple[str, str | None]]

EVERYTHING: Told = [
    ("created", "N-2"),
    ("created", "N-1"),
    ("created", "N-3"),
    ("updated", "U-2"),
    ("updated", "U-1"),
    ("unchanged", "S-1"),
    ("paused", "P-1"),
    ("paused", "P-2"),
    ("failed", "F-2"),
    ("failed", "F-1"),
]


@pytest.fixture(params=[1, 2, 5_000], ids="{} per part".format)
def parts(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Outcomes are stored in parts of that many items."""
    monkeypatch.setattr(run_outcomes, "ITEMS_PER_PART", request.param)


@pytest.fixture
def path(partner: Caller) -> str:
    """The items of a run in which everything has happened."""
    send(partner, "Insert", *(item(name) for name in ("P-1", "P-2", "U-1", "U-2", "S-1")))
    changed = [item(name, headline="Other") for name in ("U-2", "U-1")]
    created = [item(name) for name in ("N-2", "N-1", "N-3")]
    broken = [item(name, **BROKEN) for name in ("F-2", "F-1")]
    return send(partner, "Synchronize", broken[0], *changed, item("S-1"), *created, broken[1])


def send(caller: Caller, operation: str, *items: Any) -> str:
    """Carries a batch out and answers where its items are."""
    reply = caller.send(body(batch(operation, items)))
    return f"{run_path(reply.json()['data']['runId'])}/items"


def outcomes(found: list[Any]) -> Told:
    return [(told["outcome"], told["externalId"]) for told in found]


def assert_refused(reply: httpx2.Response, pointer: str) -> None:
    assert (reply.status_code, [error["pointer"] for error in reply.json()["errors"]]) == (422, [pointer])


@pytest.mark.usefixtures("parts")
def test_items_are_listed_by_what_became_of_them_then_as_they_were_sent(partner: Caller, path: str) -> None:
    assert outcomes(items_of(partner.get(path))) == EVERYTHING


def test_an_item_is_told_with_what_was_said_of_it(partner: Caller) -> None:
    path = send(partner, "Insert", item("TP-1") | {"extra": 1}, item("TP-2", **BROKEN))
    assert partner.get(path).json() == {
        "items": [
            {
                "merchantId": None,
                "externalId": "TP-1",
                "outcome": "created",
                "messages": ["extra: ignored, not a member of an offer"],
            },
            {
                "merchantId": None,
                "externalId": "TP-2",
                "outcome": "failed",
                "messages": ["offerData[0].headline: must not be empty"],
            },
        ],
        "nextCursor": None,
    }


def test_an_item_without_a_readable_external_id_is_listed_without_one(partner: Caller) -> None:
    path = send(partner, "Insert", item(None), 5, item("TP-1"))
    told = items_of(partner.get(path, outcome="failed"))
    assert [item["externalId"] for item in told] == [None, None]
    assert [item["messages"][0].partition(":")[0] for item in told] == ["offers[0].externalId", "offers[1]"]


def test_the_items_are_those_of_the_reply(partner: Caller) -> None:
    reply = partner.send(body(batch("Insert", [item("TP-1"), item("TP-2", **BROKEN), item(None)]))).json()["data"]
    lists = ("createdOffers", "updatedOffers", "notChangedOffers", "pausedOffers", "failedOffers")
    expected = [
        told | {"merchantId": None, "outcome": outcome}
        for outcome, name in zip(OUTCOMES, lists, strict=True)
        for told in reply[name]
    ]
    assert items_of(partner.get(f"{run_path(reply['runId'])}/items")) == expected != []


@pytest.mark.usefixtures("parts")
def test_items_are_filtered_by_outcome(partner: Caller, path: str) -> None:
    for outcome in OUTCOMES:
        found = outcomes(items_of(partner.get(path, outcome=outcome)))
        assert found == [told for told in EVERYTHING if told[0] == outcome]


@pytest.mark.usefixtures("parts")
def test_pages_go_across_outcomes_and_parts(partner: Caller, path: str) -> None:
    for limit in (1, 2, 3, 9, 10, 11):
        found = [outcomes(page) for page in pages(partner, path, limit=limit)]
        assert found == [EVERYTHING[start : start + limit] for start in range(0, len(EVERYTHING), limit)]


@pytest.mark.usefixtures("parts")
def test_pages_of_one_outcome_end_with_it(partner: Caller, path: str) -> None:
    for outcome in OUTCOMES:
        found = [told for page in pages(partner, path, outcome=outcome, limit=2) for told in outcomes(page)]
        assert found == [told for told in EVERYTHING if told[0] == outcome]


def test_an_outcome_that_did_not_occur_has_no_items(partner: Caller) -> None:
    assert partner.get(send(partner, "Insert", item()), outcome="paused").json() == {"items": [], "nextCursor": None}


def test_a_run_that_is_not_completed_has_no_items(partner: Caller, service: Service) -> None:
    run = accept_elsewhere(service, batch("Insert", [item()]))
    path = f"{run_path(run.run_id)}/items"
    assert items_of(partner.get(path)) == []
    fail_elsewhere(service, run)
    assert items_of(partner.get(path)) == []


def test_items_stay_what_they_were(partner: Caller, path: str) -> None:
    before = partner.get(path).content
    send(partner, "Synchronize", item("S-1", headline="Yet another"))
    assert partner.get(path).content == before


@pytest.mark.parametrize(
    ("name", "value"),
    [("outcome", "Created"), ("outcome", ""), ("limit", "0"), ("cursor", "x"), ("externalId", "N-1"), ("partner", "x")],
)
def test_a_malformed_or_unknown_parameter_is_refused(partner: Caller, path: str, name: str, value: str) -> None:
    assert_refused(partner.http.get(path, params={name: value}), f"/query/{name}")


def test_a_cursor_belongs_to_its_run_and_outcome(partner: Caller, path: str) -> None:
    other = send(partner, "Insert", item("N-1"), item("N-2"))
    cursor = partner.get(path, limit=1).json()["nextCursor"]
    assert_refused(partner.get(other, cursor=cursor), "/query/cursor")
    assert_refused(partner.get(path, outcome="created", cursor=cursor), "/query/cursor")
    assert_refused(partner.get("/api/v1/runs", cursor=cursor), "/query/cursor")


def test_a_run_that_is_not_there_has_no_items(partner: Caller) -> None:
    assert partner.get(f"{run_path(uuid4())}/items").status_code == 404
