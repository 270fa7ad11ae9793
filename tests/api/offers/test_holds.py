"""Tests of holds over HTTP (contract, section 9)."""

from datetime import timedelta
from typing import Any

import pytest

from api.service import Service
from domain.values import Role, utc_text
from projections.maintenance.verification import verify
from tests.support.calls.merchants import delete, merchant_offer, put
from tests.support.calls.publishers import activate, post, problem
from tests.support.examples import PARTNER
from tests.support.harness import Call, Caller, Clock, MakeToken

REASON = "The reward in the terms is wrong"


@pytest.fixture
def operator(call: Call, token: MakeToken) -> Caller:
    return call(token(Role.OPERATOR, name="olga"))


def hold(operator: Caller, offer: str, reason: Any = REASON, **members: Any) -> Any:
    return post(operator, f"/api/v1/offers/{offer}/hold", reason=reason, **members)


def release(operator: Caller, offer: str, reason: Any = "corrected") -> Any:
    return post(operator, f"/api/v1/offers/{offer}/release", reason=reason)


def shown(caller: Caller, offer: str, **params: Any) -> Any:
    return caller.get(f"/api/v1/offers/{offer}", **params).json()


def test_held_offer_takes_no_new_activations(
    operator: Caller, publisher: Caller, offer: str, service: Service, clock: Clock
) -> None:
    earlier = activate(publisher, offer, "C-1")
    clock.move(seconds=1)
    reply = hold(operator, offer)
    assert reply.status_code == 201
    assert reply.json() == {
        "offerUid": offer,
        "hold": {"reason": REASON, "since": utc_text(clock.now), "until": None, "actor": "olga"},
    }
    clock.move(seconds=1)
    assert problem(activate(publisher, offer, "C-2")) == (409, "offer-held", [])
    assert activate(publisher, offer, "C-1").json() == earlier.json()
    assert release(operator, offer).json() == {"offerUid": offer, "hold": None}
    clock.move(seconds=1)
    assert activate(publisher, offer, "C-2").status_code == 201
    assert verify(service.ledger) == []


def test_activation_before_the_hold_is_accepted(operator: Caller, publisher: Caller, offer: str, clock: Clock) -> None:
    clock.move(hours=1)
    before = utc_text(clock.now - timedelta(microseconds=1))
    hold(operator, offer)
    since = utc_text(clock.now)
    clock.move(hours=1)
    release(operator, offer)
    clock.move(hours=1)
    assert problem(activate(publisher, offer, "C-1", activatedAt=since)) == (409, "offer-held", [])
    assert activate(publisher, offer, "C-1", activatedAt=before).status_code == 201


def test_hold_ends_at_until_without_an_event(
    operator: Caller, publisher: Caller, auditor: Caller, offer: str, clock: Clock
) -> None:
    until = clock.now + timedelta(days=2)
    assert hold(operator, offer, until=utc_text(until)).json()["hold"]["until"] == utc_text(until)
    position = shown(auditor, offer)["version"]
    during = utc_text(clock.now + timedelta(days=1))
    clock.move(days=3)
    assert shown(auditor, offer)["hold"] is None
    assert shown(auditor, offer)["version"] == position
    assert shown(auditor, offer, asOf=during)["hold"]["until"] == utc_text(until)
    assert shown(auditor, offer, asOf=utc_text(until))["hold"] is None
    assert problem(activate(publisher, offer, "C-1", activatedAt=during)) == (409, "offer-held", [])
    assert activate(publisher, offer, "C-1", activatedAt=utc_text(until)).status_code == 201


def test_past_state_shows_the_hold_of_then(operator: Caller, auditor: Caller, offer: str, clock: Clock) -> None:
    times = []
    for change in (hold, release):
        clock.move(hours=1)
        change(operator, offer)
        times.append(utc_text(clock.now))
    created = utc_text(clock.now - timedelta(hours=2, microseconds=-1))
    reasons = [(shown(auditor, offer, asOf=time)["hold"] or {}).get("reason") for time in (created, *times)]
    assert reasons == [None, REASON, None]


def test_hold_changes_nothing_that_the_partner_sees_in_its_requests(
    operator: Caller, partner: Caller, auditor: Caller, offer: str
) -> None:
    before = shown(auditor, offer)
    tag = auditor.get(f"/api/v1/offers/{offer}").headers["ETag"]
    hold(operator, offer)
    held = auditor.get(f"/api/v1/offers/{offer}")
    assert held.json() == before | {"hold": held.json()["hold"]}
    assert held.headers["ETag"] != tag
    assert put(partner, merchant_offer(offerName="Another"), **{"If-Match": tag}).status_code == 202
    assert delete(partner).status_code == 202
    assert put(partner, merchant_offer(offerName="Third")).status_code == 202
    after = shown(auditor, offer)
    assert (after["status"], after["version"], after["hold"]) == ("active", 4, held.json()["hold"])


def test_held_offer_is_redeemable_by_its_open_windows_only(
    operator: Caller, publisher: Caller, auditor: Caller, offer: str, clock: Clock
) -> None:
    def redeemable(**params: Any) -> list[bool]:
        lists = [auditor.get("/api/v1/offers", redeemable=word, **params).json()["items"] for word in ("true", "false")]
        assert sum(map(len, lists)) == 1
        return [bool(items) for items in lists]

    clock.move(hours=1)
    hold(operator, offer)
    held_at = utc_text(clock.now)
    assert redeemable() == redeemable(asOf=held_at) == [False, True]
    clock.move(hours=1)
    release(operator, offer)
    activate(publisher, offer)
    hold(operator, offer)
    assert redeemable() == redeemable(asOf=utc_text(clock.now)) == [True, False]
    assert redeemable(asOf=held_at) == [False, True]


def test_repeated_hold_and_release_change_nothing(operator: Caller, auditor: Caller, offer: str, clock: Clock) -> None:
    first = hold(operator, offer)
    clock.move(seconds=1)
    again = hold(operator, offer, "Another reason")
    assert (again.status_code, again.json()) == (200, first.json())
    assert [release(operator, offer).status_code for _ in range(2)] == [200, 200]
    events = auditor.get("/api/v1/audit/events", offerUid=offer).json()["items"]
    assert [event["type"] for event in events] == ["OfferCreated", "OfferHeld", "OfferReleased"]


def test_audit_shows_reasons_and_changes(operator: Caller, auditor: Caller, offer: str, clock: Clock) -> None:
    until = utc_text(clock.now + timedelta(days=2))
    hold(operator, offer, until=until)
    hold(operator, offer, "for ever")
    release(operator, offer)
    events = auditor.get("/api/v1/audit/events", offerUid=offer, actor="olga").json()["items"]
    assert [(event["reason"], event["source"], event["partner"], event["changes"]) for event in events] == [
        (REASON, "operator", PARTNER, [{"field": "/hold", "before": None, "after": {"until": until}}]),
        ("for ever", "operator", PARTNER, [{"field": "/hold", "before": {"until": until}, "after": {"until": None}}]),
        ("corrected", "operator", PARTNER, [{"field": "/hold", "before": {"until": None}, "after": None}]),
    ]


@pytest.mark.parametrize("reason", [None, "", " \n", "x" * 501, 1, "a\0b"])
def test_reason_is_required(operator: Caller, auditor: Caller, offer: str, reason: Any) -> None:
    for call in (hold, release):
        reply = call(operator, offer, reason)
        assert problem(reply) == (422, "validation-error", ["/reason"])
    assert shown(auditor, offer)["hold"] is None


def test_until_in_the_past_is_refused(operator: Caller, offer: str, clock: Clock) -> None:
    reply = hold(operator, offer, until=utc_text(clock.now))
    assert reply.status_code == 422
    assert reply.json()["errors"] == [{"pointer": "/until", "message": "must be in the future"}]


@pytest.mark.parametrize("offer_uid", ["00000000-0000-4000-8000-000000000000", "no-uuid"])
def test_unknown_offer_is_404(operator: Caller, offer_uid: str) -> None:
    assert [problem(call(operator, offer_uid)) for call in (hold, release)] == [(404, "not-found", [])] * 2
