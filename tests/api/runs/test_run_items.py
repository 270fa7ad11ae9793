"""The outcomes of the offers of a run, read in pages (contract, section 6)."""

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

Outcomes = list[tuple[str, str | None]]

ALL_ITEMS: Outcomes = [
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
    """Stores outcomes in parts of this many items."""
    monkeypatch.setattr(run_outcomes, "ITEMS_PER_PART", request.param)


@pytest.fixture
def path(partner: Caller) -> str:
    """The path of the items of a run with every outcome."""
    send(partner, "Insert", *(item(name) for name in ("P-1", "P-2", "U-1", "U-2", "S-1")))
    changed = [item(name, headline="Other") for name in ("U-2", "U-1")]
    created = [item(name) for name in ("N-2", "N-1", "N-3")]
    broken = [item(name, **BROKEN) for name in ("F-2", "F-1")]
    return send(partner, "Synchronize", broken[0], *changed, item("S-1"), *created, broken[1])


def send(caller: Caller, operation: str, *items: Any) -> str:
    """Sends a batch, and returns the path of its items."""
    reply = caller.send(body(batch(operation, items)))
    return f"{run_path(reply.json()['data']['runId'])}/items"


def outcomes(items: list[Any]) -> Outcomes:
    return [(item["outcome"], item["externalId"]) for item in items]


def assert_refused(reply: httpx2.Response, pointer: str) -> None:
    assert (reply.status_code, [error["pointer"] for error in reply.json()["errors"]]) == (422, [pointer])


@pytest.mark.usefixtures("parts")
def test_items_are_listed_by_outcome_then_as_sent(partner: Caller, path: str) -> None:
    assert outcomes(items_of(partner.get(path))) == ALL_ITEMS


def test_item_is_listed_with_its_messages(partner: Caller) -> None:
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


def test_item_without_a_readable_external_id_has_an_empty_id(partner: Caller) -> None:
    path = send(partner, "Insert", item(None), 5, item("TP-1"))
    failed = items_of(partner.get(path, outcome="failed"))
    assert [item["externalId"] for item in failed] == ["", ""]
    assert [item["messages"][0].partition(":")[0] for item in failed] == ["offers[0].externalId", "offers[1]"]


def test_items_are_the_same_as_in_the_reply(partner: Caller) -> None:
    reply = partner.send(body(batch("Insert", [item("TP-1"), item("TP-2", **BROKEN), item(None)]))).json()["data"]
    lists = ("createdOffers", "updatedOffers", "notChangedOffers", "pausedOffers", "failedOffers")
    expected = [
        item | {"merchantId": None, "outcome": outcome}
        for outcome, name in zip(OUTCOMES, lists, strict=True)
        for item in reply[name]
    ]
    assert items_of(partner.get(f"{run_path(reply['runId'])}/items")) == expected != []


@pytest.mark.usefixtures("parts")
def test_items_are_filtered_by_outcome(partner: Caller, path: str) -> None:
    for outcome in OUTCOMES:
        listed = outcomes(items_of(partner.get(path, outcome=outcome)))
        assert listed == [item for item in ALL_ITEMS if item[0] == outcome]


@pytest.mark.usefixtures("parts")
def test_pages_continue_across_outcomes_and_parts(partner: Caller, path: str) -> None:
    for limit in (1, 2, 3, 9, 10, 11):
        listed = [outcomes(page) for page in pages(partner, path, limit=limit)]
        assert listed == [ALL_ITEMS[start : start + limit] for start in range(0, len(ALL_ITEMS), limit)]


@pytest.mark.usefixtures("parts")
def test_pages_of_one_outcome_end_with_it(partner: Caller, path: str) -> None:
    for outcome in OUTCOMES:
        listed = [item for page in pages(partner, path, outcome=outcome, limit=2) for item in outcomes(page)]
        assert listed == [item for item in ALL_ITEMS if item[0] == outcome]


def test_outcome_that_did_not_occur_has_no_items(partner: Caller) -> None:
    assert partner.get(send(partner, "Insert", item()), outcome="paused").json() == {"items": [], "nextCursor": None}


def test_run_that_is_not_completed_has_no_items(partner: Caller, service: Service) -> None:
    run = accept_elsewhere(service, batch("Insert", [item()]))
    path = f"{run_path(run.run_id)}/items"
    assert items_of(partner.get(path)) == []
    fail_elsewhere(service, run)
    assert items_of(partner.get(path)) == []


def test_later_runs_do_not_change_the_items_of_a_run(partner: Caller, path: str) -> None:
    before = partner.get(path).content
    send(partner, "Synchronize", item("S-1", headline="Yet another"))
    assert partner.get(path).content == before


@pytest.mark.parametrize(
    ("name", "value"),
    [("outcome", "Created"), ("outcome", ""), ("limit", "0"), ("cursor", "x"), ("externalId", "N-1"), ("partner", "x")],
)
def test_malformed_or_unknown_parameter_is_refused(partner: Caller, path: str, name: str, value: str) -> None:
    assert_refused(partner.http.get(path, params={name: value}), f"/query/{name}")


def test_cursor_is_valid_for_its_run_and_outcome_only(partner: Caller, path: str) -> None:
    other = send(partner, "Insert", item("N-1"), item("N-2"))
    cursor = partner.get(path, limit=1).json()["nextCursor"]
    assert_refused(partner.get(other, cursor=cursor), "/query/cursor")
    assert_refused(partner.get(path, outcome="created", cursor=cursor), "/query/cursor")
    assert_refused(partner.get("/api/v1/runs", cursor=cursor), "/query/cursor")


def test_unknown_run_has_no_items(partner: Caller) -> None:
    assert partner.get(f"{run_path(uuid4())}/items").status_code == 404
