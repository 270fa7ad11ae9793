"""What has changed between two states, over the wire. (Contract, section 6.)"""

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
def begin(partner: Caller, service: Service, clock: Clock) -> datetime:
    """Two offers of a batch, and one of a merchant, have been there since a day; what follows comes an instant later."""
    limit(service)
    run_batch(service.ledger, Operation.SYNCHRONIZE, [item("TP-1"), item("TP-2")])
    assert put(partner).status_code == 202
    clock.move(days=1)
    return clock.now - INSTANT


def since(caller: Caller, begin: datetime, **more: Any) -> dict[str, Any]:
    reply = caller.get(DIFF, None, **{"from": utc_text(begin)}, **more)
    assert reply.status_code == 200, reply.text
    told: dict[str, Any] = reply.json()
    return told


def named(told: dict[str, Any]) -> dict[str, list[str]]:
    return {change["externalId"]: change["kinds"] for change in told["items"]}


def test_a_change_is_told_with_its_states_its_cause_and_the_changed_fields(
    auditor: Caller, service: Service, begin: datetime
) -> None:
    run = run_batch(service.ledger, Operation.INSERT, [item("TP-1", headline="Open two jars")])
    told = since(auditor, begin)
    (change,) = told["items"]
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
                "position": told["to"]["position"],
                "version": 2,
                "type": "OfferUpdated",
                "recordedAt": utc_text(begin + INSTANT),
                "actor": "tide-feed",
                "source": "custom",
                "runId": str(run.run_id),
                "traceId": None,
                "cause": None,
            }
        ],
        "changes": [{"field": "/content/headline", "before": "Open a jar", "after": "Open two jars"}],
    }
    assert told["counts"] == dict.fromkeys(told["counts"], 0) | {"updated": 1}


def test_what_a_synchronize_did_not_name_is_told_apart_from_what_was_taken_down(
    auditor: Caller, partner: Caller, service: Service, begin: datetime
) -> None:
    run_batch(service.ledger, Operation.SYNCHRONIZE, [item("TP-1")])
    delete(partner)
    told = since(auditor, begin)
    causes = {change["externalId"]: change["causes"][0] for change in told["items"]}
    assert list(named(told).values()) == [["paused"], ["deleted"]]
    assert [cause["cause"] for cause in causes.values()] == ["absent-from-synchronize", None]
    assert [cause["traceId"] is None for cause in causes.values()] == [True, False]


def test_what_is_as_it_was_before_is_not_listed_and_what_came_and_went_is_only_counted(
    auditor: Caller, partner: Caller, begin: datetime
) -> None:
    put(partner, merchant_offer(offerName="two"))
    put(partner)
    put(partner, merchant_offer(offer="OFR-2"), offer="OFR-2")
    delete(partner, offer="OFR-2")
    told = since(auditor, begin)
    assert (told["items"], told["counts"]["transient"], told["counts"]["updated"]) == ([], 1, 0)


def test_an_offer_can_be_of_several_kinds(auditor: Caller, service: Service, begin: datetime, clock: Clock) -> None:
    run_batch(service.ledger, Operation.SYNCHRONIZE, [item("TP-2")])
    clock.move(seconds=1)
    paused = clock.now - INSTANT
    run_batch(service.ledger, Operation.INSERT, [item("TP-1", headline="Open two jars")])
    assert named(since(auditor, paused)) == {"TP-1": ["updated", "resumed"]}
    assert named(since(auditor, begin)) == {"TP-1": ["updated"]}


def test_states_are_named_by_time_or_by_position(
    auditor: Caller, partner: Caller, begin: datetime, clock: Clock
) -> None:
    first = position(auditor)
    delete(partner)
    clock.move(seconds=1)
    by_time = since(auditor, begin, to=utc_text(clock.now))
    by_position = auditor.get(DIFF, fromPosition=first, toPosition=first + 1).json()
    assert by_time["items"] == by_position["items"]
    assert [by_position[bound]["position"] for bound in ("from", "to")] == [first, first + 1]
    assert auditor.get(DIFF, fromPosition=first, toPosition=first).json()["items"] == []
    assert len(auditor.get(DIFF, fromPosition=0).json()["items"]) == 2, "and what was deleted is counted as transient"


def test_pages_compare_the_same_two_states(auditor: Caller, service: Service, begin: datetime) -> None:
    run_batch(service.ledger, Operation.INSERT, [item("TP-1", headline="two"), item("TP-2", headline="two")])
    first = since(auditor, begin, limit=1)
    run_batch(service.ledger, Operation.INSERT, [item("TP-2"), item("TP-3")])
    second = since(auditor, begin, limit=1, cursor=first["nextCursor"])
    assert [*named(first), *named(second)] == ["TP-1", "TP-2"]
    assert (second["to"], second["counts"], second["nextCursor"]) == (first["to"], first["counts"], None)


def test_a_partner_sees_its_own_changes_only(begin: datetime, partner: Caller, call: Call, token: MakeToken) -> None:
    delete(partner)
    harbor = call(token(partner="harbor"))
    assert since(partner, begin)["counts"]["deleted"] == 1
    for more in ({}, {"partner": "tidepool"}):
        told = since(harbor, begin, **more)
        assert (told["items"], sum(told["counts"].values())) == ([], 0)
    assert call(token(Role.PUBLISHER)).get(DIFF, fromPosition=0).status_code == 403


@pytest.mark.usefixtures("begin")
@pytest.mark.parametrize(
    ("asked", "place"),
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
        ({"fromPosition": "0", "cursor": "x"}, "/query/cursor"),
    ],
)
def test_what_is_not_in_order_is_422_and_names_the_parameter(
    auditor: Caller, asked: dict[str, Any], place: str
) -> None:
    assert problem(auditor.get(DIFF, **asked)) == (422, "validation-error", [place])


def test_a_time_before_the_first_event_is_the_empty_ledger(auditor: Caller, begin: datetime) -> None:
    told = since(auditor, begin - timedelta(days=400))
    assert (told["from"], told["counts"]["created"]) == ({"position": 0, "asOf": None}, 3)
    assert since(auditor, begin - INSTANT)["items"] == []
    assert len(items_of(auditor.get(DIFF, fromPosition=0, limit=2))) == 2
