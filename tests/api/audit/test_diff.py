"""Tests of the diff of two states over HTTP (contract, section 6)."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from api.service import Service
from domain.values import Operation, Role, utc_text
from tests.support.calls.merchants import delete, limit, merchant_offer, position, put
from tests.support.calls.paging import items_of
from tests.support.calls.publishers import INSTANT, problem
from tests.support.examples import item
from tests.support.harness import Call, Caller, Clock, MakeToken, run_batch

DIFF = "/api/v1/audit/diff"


@pytest.fixture
def start_time(partner: Caller, service: Service, clock: Clock) -> datetime:
    """A time one day after two custom offers and a merchant offer were created. The clock is one instant later."""
    limit(service)
    run_batch(service.ledger, Operation.SYNCHRONIZE, [item("TP-1"), item("TP-2")])
    assert put(partner).status_code == 202
    clock.move(days=1)
    return clock.now - INSTANT


def since(caller: Caller, start_time: datetime, **parameters: Any) -> dict[str, Any]:
    reply = caller.get(DIFF, None, **{"from": utc_text(start_time)}, **parameters)
    assert reply.status_code == 200, reply.text
    body: dict[str, Any] = reply.json()
    return body


def kinds_by_id(body: dict[str, Any]) -> dict[str, list[str]]:
    return {change["externalId"]: change["kinds"] for change in body["items"]}


def causes_by_id(body: dict[str, Any]) -> dict[str, list[tuple[str, str]]]:
    """Returns the type and the run of each cause, by externalId."""
    return {
        change["externalId"]: [(cause["type"], cause["runId"]) for cause in change["causes"]]
        for change in body["items"]
    }


def test_change_has_states_causes_and_changed_fields(auditor: Caller, service: Service, start_time: datetime) -> None:
    run = run_batch(service.ledger, Operation.INSERT, [item("TP-1", headline="Open two jars")])
    body = since(auditor, start_time)
    (change,) = body["items"]
    assert change == {
        "offerUid": change["offerUid"],
        "partner": "tidepool",
        "channel": "custom",
        "merchantId": None,
        "externalId": "TP-1",
        "kinds": ["updated"],
        "before": {"status": "active", "version": 1},
        "after": {"status": "active", "version": 2},
        "causes": [
            {
                "position": body["to"]["position"],
                "version": 2,
                "type": "OfferUpdated",
                "recordedAt": utc_text(start_time + INSTANT),
                "actor": "tide-feed",
                "source": "custom",
                "runId": str(run.run_id),
                "traceId": None,
                "cause": None,
                "reason": None,
            }
        ],
        "changes": [{"field": "/content/headline", "before": "Open a jar", "after": "Open two jars"}],
    }
    assert body["counts"] == dict.fromkeys(body["counts"], 0) | {"updated": 1}


def test_causes_distinguish_synchronize_from_deletion_by_request(
    auditor: Caller, partner: Caller, service: Service, start_time: datetime
) -> None:
    run_batch(service.ledger, Operation.SYNCHRONIZE, [item("TP-1")])
    delete(partner)
    body = since(auditor, start_time)
    causes = {change["externalId"]: change["causes"][0] for change in body["items"]}
    assert list(kinds_by_id(body).values()) == [["paused"], ["deleted"]]
    assert [cause["cause"] for cause in causes.values()] == ["absent-from-synchronize", None]
    assert [cause["traceId"] is None for cause in causes.values()] == [True, False]


def test_restored_content_is_omitted_and_transient_offers_are_counted(
    auditor: Caller, partner: Caller, start_time: datetime
) -> None:
    put(partner, merchant_offer(offerName="two"))
    put(partner)
    put(partner, merchant_offer(offer="OFR-2"), offer="OFR-2")
    delete(partner, offer="OFR-2")
    body = since(auditor, start_time)
    assert (body["items"], body["counts"]["transient"], body["counts"]["updated"]) == ([], 1, 0)


def test_created_and_paused_offer_has_both_kinds_and_causes(auditor: Caller, service: Service) -> None:
    created = run_batch(service.ledger, Operation.SYNCHRONIZE, [item("TP-1"), item("TP-2")])
    paused = run_batch(service.ledger, Operation.SYNCHRONIZE, [item("TP-1")])
    body = auditor.get(DIFF, fromPosition=0).json()
    assert kinds_by_id(body) == {"TP-1": ["created"], "TP-2": ["created", "paused"]}
    assert body["counts"] == dict.fromkeys(body["counts"], 0) | {"created": 2, "paused": 1}
    assert causes_by_id(body) == {
        "TP-1": [("OfferCreated", str(created.run_id))],
        "TP-2": [("OfferCreated", str(created.run_id)), ("OfferPaused", str(paused.run_id))],
    }
    assert [(change["before"], change["after"]["status"]) for change in body["items"]] == [
        (None, "active"),
        (None, "paused"),
    ]


def test_updates_of_two_runs_are_both_causes(auditor: Caller, service: Service, start_time: datetime) -> None:
    contents: list[dict[str, Any]] = [{"headline": "two"}, {"headline": "two", "name": "Two jars"}]
    runs = [run_batch(service.ledger, Operation.INSERT, [item("TP-1", **content)]) for content in contents]
    expected = [("OfferUpdated", str(run.run_id)) for run in runs]
    assert causes_by_id(since(auditor, start_time)) == {"TP-1": expected}


def test_cause_before_a_return_to_the_earlier_state_is_omitted(
    auditor: Caller, service: Service, start_time: datetime
) -> None:
    for headline in ("two", "Open a jar"):
        run_batch(service.ledger, Operation.INSERT, [item("TP-1", headline=headline)])
    last = run_batch(service.ledger, Operation.SYNCHRONIZE, [item("TP-2")])
    assert causes_by_id(since(auditor, start_time)) == {"TP-1": [("OfferPaused", str(last.run_id))]}


def test_kind_filters_the_items_but_not_the_counts(auditor: Caller, service: Service) -> None:
    run_batch(service.ledger, Operation.SYNCHRONIZE, [item(f"TP-{number}") for number in range(4)])
    run_batch(service.ledger, Operation.SYNCHRONIZE, [item("TP-1")])
    every = auditor.get(DIFF, fromPosition=0).json()
    paused = auditor.get(DIFF, fromPosition=0, kind="paused").json()
    assert paused["items"] == [change for change in every["items"] if "paused" in change["kinds"]]
    assert paused["counts"] == every["counts"]
    first = auditor.get(DIFF, fromPosition=0, kind="paused", limit=2)
    assert items_of(first) == paused["items"][:2]
    cursor = first.json()["nextCursor"]
    second = auditor.get(DIFF, fromPosition=0, kind="paused", limit=2, cursor=cursor).json()
    assert (second["items"], second["counts"], second["nextCursor"]) == (paused["items"][2:], every["counts"], None)
    for kind in ({}, {"kind": "created"}):
        assert problem(auditor.get(DIFF, None, fromPosition=0, limit=2, cursor=cursor, **kind))[2] == ["/query/cursor"]


@pytest.mark.parametrize("kind", ["transient", "gone", "Paused", ""])
def test_unknown_kind_is_422_with_all_kinds(auditor: Caller, kind: str) -> None:
    reply = auditor.get(DIFF, fromPosition=0, kind=kind)
    assert problem(reply) == (422, "validation-error", ["/query/kind"])
    assert all(word in reply.text for word in ("created", "updated", "paused", "resumed", "deleted", "restored"))


def test_offer_can_have_several_kinds_of_change(
    auditor: Caller, service: Service, start_time: datetime, clock: Clock
) -> None:
    run_batch(service.ledger, Operation.SYNCHRONIZE, [item("TP-2")])
    clock.move(seconds=1)
    paused = clock.now - INSTANT
    run_batch(service.ledger, Operation.INSERT, [item("TP-1", headline="Open two jars")])
    assert kinds_by_id(since(auditor, paused)) == {"TP-1": ["updated", "resumed"]}
    assert kinds_by_id(since(auditor, start_time)) == {"TP-1": ["updated"]}


def test_states_are_selected_by_time_or_position(
    auditor: Caller, partner: Caller, start_time: datetime, clock: Clock
) -> None:
    first = position(auditor)
    delete(partner)
    clock.move(seconds=1)
    by_time = since(auditor, start_time, to=utc_text(clock.now))
    by_position = auditor.get(DIFF, fromPosition=first, toPosition=first + 1).json()
    assert by_time["items"] == by_position["items"]
    assert [by_position[bound]["position"] for bound in ("from", "to")] == [first, first + 1]
    assert auditor.get(DIFF, fromPosition=first, toPosition=first).json()["items"] == []
    assert len(auditor.get(DIFF, fromPosition=0).json()["items"]) == 2, "the deleted offer is counted as transient"


def test_header_names_each_commit_that_a_state_is_inside_of(auditor: Caller, service: Service) -> None:
    spans = []
    for name in ("TP-1", "TP-3"):
        run_batch(service.ledger, Operation.INSERT, [item(name), item(f"{name}a")])
        spans.append((position(auditor) - 1, position(auditor)))
    (first, second), (third, fourth) = spans

    def header(since: int, until: int) -> str | None:
        return auditor.get(DIFF, fromPosition=since, toPosition=until).headers.get("Ledger-Inside-Commit")

    assert header(first, third) == f"{first}-{second}, {third}-{fourth}"
    assert header(second, third) == f"{third}-{fourth}"
    assert header(second, fourth) is None


def test_pages_compare_the_same_two_states(auditor: Caller, service: Service, start_time: datetime) -> None:
    run_batch(service.ledger, Operation.INSERT, [item("TP-1", headline="two"), item("TP-2", headline="two")])
    first = since(auditor, start_time, limit=1)
    run_batch(service.ledger, Operation.INSERT, [item("TP-2"), item("TP-3")])
    second = since(auditor, start_time, limit=1, cursor=first["nextCursor"])
    assert [*kinds_by_id(first), *kinds_by_id(second)] == ["TP-1", "TP-2"]
    assert (second["to"], second["counts"], second["nextCursor"]) == (first["to"], first["counts"], None)


def test_partner_sees_only_its_own_changes(start_time: datetime, partner: Caller, call: Call, token: MakeToken) -> None:
    delete(partner)
    harbor = call(token(partner="harbor"))
    assert since(partner, start_time)["counts"]["deleted"] == 1
    for parameters in ({}, {"partner": "tidepool"}):
        body = since(harbor, start_time, **parameters)
        assert (body["items"], sum(body["counts"].values())) == ([], 0)
    assert call(token(Role.PUBLISHER)).get(DIFF, fromPosition=0).status_code == 403


@pytest.mark.usefixtures("start_time")
@pytest.mark.parametrize(
    ("parameters", "pointer"),
    [
        ({}, "/query/from"),
        ({"from": "2026-11-22T12:00:00Z", "fromPosition": "1"}, "/query/fromPosition"),
        ({"fromPosition": "0", "to": "2026-11-22T12:00:00Z", "toPosition": "1"}, "/query/toPosition"),
        ({"from": "yesterday"}, "/query/from"),
        ({"fromPosition": "-1"}, "/query/fromPosition"),
        ({"fromPosition": "3", "toPosition": "2"}, "/query/toPosition"),
        ({"fromPosition": "999999", "toPosition": "99999"}, "/query/toPosition"),
        ({"from": "2030-01-02T00:00:00Z", "to": "2030-01-01T00:00:00Z"}, "/query/to"),
        ({"fromPosition": "3", "to": "2000-01-01T00:00:00Z"}, "/query/to"),
        ({"fromPosition": "99999"}, "/query/fromPosition"),
        ({"fromPosition": "0", "toPosition": "99999"}, "/query/toPosition"),
        ({"from": "2030-01-01T00:00:00Z"}, "/query/from"),
        ({"fromPosition": "0", "to": "2030-01-01T00:00:00Z"}, "/query/to"),
        ({"fromPosition": "0", "cursor": "x"}, "/query/cursor"),
    ],
)
def test_invalid_diff_parameter_is_422_with_its_pointer(
    auditor: Caller, parameters: dict[str, Any], pointer: str
) -> None:
    assert problem(auditor.get(DIFF, **parameters)) == (422, "validation-error", [pointer])


def test_time_before_the_first_event_is_the_empty_ledger(auditor: Caller, start_time: datetime) -> None:
    body = since(auditor, start_time - timedelta(days=400))
    assert (body["from"], body["counts"]["created"]) == ({"position": 0, "asOf": None}, 3)
    assert since(auditor, start_time - INSTANT)["items"] == []
    assert len(items_of(auditor.get(DIFF, fromPosition=0, limit=2))) == 2
