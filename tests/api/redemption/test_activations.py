"""Tests of activations and flights over HTTP (contract, section 5)."""

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from api.redemption.activation_routes import ACTIVATIONS_PATH
from api.service import Service
from domain.access.partner import SetPartner
from domain.values import Role, utc_text
from projections.maintenance.verification import verify
from tests.support.calls.merchants import delete, limit, merchant_offer, put, uid_of
from tests.support.calls.paging import pages
from tests.support.calls.publishers import JSON, activate, post, problem
from tests.support.examples import PARTNER
from tests.support.harness import OPERATOR, Call, Caller, Clock, MakeToken


def flights(offer: str) -> str:
    return f"/api/v1/offers/{offer}/flights"


def test_activation_is_returned_with_its_terms(publisher: Caller, offer: str, clock: Clock) -> None:
    reply = activate(publisher, offer)
    body = reply.json()
    assert reply.status_code == 201
    assert body == {
        "activationId": body["activationId"],
        "offerUid": offer,
        "customerId": "C-1",
        "offerVersion": 1,
        "activatedAt": utc_text(clock.now),
        "redemptionWindowDays": 45,
        "redeemableUntil": utc_text(clock.now + timedelta(days=45)),
        "late": False,
    }
    assert reply.headers["Location"] == f"{ACTIVATIONS_PATH}/{body['activationId']}"


def test_offer_can_be_activated_immediately_after_creation(
    publisher: Caller, partner: Caller, service: Service
) -> None:
    """Recorded times increase even if the clock does not advance."""
    limit(service)
    assert put(partner).status_code == 202
    assert activate(publisher, str(uid_of())).status_code == 201


def test_repeated_activation_is_200_with_the_same_activation(
    publisher: Caller, offer: str, service: Service, clock: Clock
) -> None:
    first = activate(publisher, offer)
    clock.move(days=44)
    repeated = activate(publisher, offer)
    assert (repeated.status_code, repeated.json()) == (200, first.json())
    assert activate(publisher, offer, "C-2").status_code == 201
    clock.move(days=1)
    assert activate(publisher, offer).status_code == 201
    assert verify(service.ledger) == []


def test_activation_has_activated_content_and_window_state(
    publisher: Caller, partner: Caller, auditor: Caller, offer: str, clock: Clock
) -> None:
    path = activate(publisher, offer).headers["Location"]
    until = clock.now + timedelta(days=45)
    assert publisher.get(path).json()["state"] == "open"
    clock.move(days=1)
    put(partner, merchant_offer(offerName="Another"))
    delete(partner)
    clock.move(seconds=1)
    body = auditor.get(path).json()
    assert (body["state"], body["content"], body["offerVersion"]) == ("winding_down", merchant_offer(), 1)
    assert body["redeemableUntil"] == utc_text(until)
    states = {
        utc_text(at): auditor.get(path, at=utc_text(at)).json()["state"]
        for at in (until - timedelta(days=46), until - timedelta(days=45), until - timedelta(microseconds=1), until)
    }
    assert list(states.values()) == [None, "open", "winding_down", "expired"]


def test_offer_must_be_active_at_the_activation_time(
    publisher: Caller, partner: Caller, offer: str, clock: Clock
) -> None:
    created = clock.now - timedelta(seconds=1)
    clock.move(days=1)
    deleted = clock.now
    delete(partner)
    clock.move(days=1)
    for at, status in (
        (created - timedelta(seconds=1), 409),
        (deleted - timedelta(microseconds=1), 201),
        (deleted, 409),
    ):
        reply = activate(publisher, offer, f"C-{at}", activatedAt=utc_text(at))
        assert reply.status_code == status, at
        if status == 201:
            assert reply.json()["late"] is True
        else:
            assert problem(reply)[:2] == (409, "offer-not-activatable")


def test_window_days_come_from_flight_before_partner_setting(
    publisher: Caller, offer: str, service: Service, clock: Clock
) -> None:
    service.ledger.handle(SetPartner(PARTNER, redemption_window_days=40), OPERATOR)
    start = clock.now + timedelta(days=1)
    assert post(publisher, flights(offer), startsAt=utc_text(start), redemptionWindowDays=30).status_code == 201
    assert activate(publisher, offer).json()["redemptionWindowDays"] == 40
    clock.move(days=1)
    assert activate(publisher, offer, "C-2").json()["redemptionWindowDays"] == 30
    before = utc_text(start - timedelta(microseconds=1))
    assert activate(publisher, offer, "C-3", activatedAt=before).json()["redemptionWindowDays"] == 40


def test_late_report_gets_window_days_of_its_activation_time(
    publisher: Caller, offer: str, service: Service, clock: Clock
) -> None:
    before = utc_text(clock.now)
    clock.move(days=1)
    service.ledger.handle(SetPartner(PARTNER, redemption_window_days=30), OPERATOR)
    assert activate(publisher, offer, activatedAt=before).json()["redemptionWindowDays"] == 45
    assert activate(publisher, offer, "C-2").json()["redemptionWindowDays"] == 30


def test_source_of_a_flight_is_the_role_of_its_scheduler(
    publisher: Caller, auditor: Caller, offer: str, call: Call, token: MakeToken, clock: Clock
) -> None:
    operator = call(token(Role.OPERATOR))
    for caller, days in ((publisher, 1), (operator, 2)):
        start = utc_text(clock.now + timedelta(days=days))
        assert post(caller, flights(offer), startsAt=start, redemptionWindowDays=30).status_code == 201
    events = auditor.get("/api/v1/audit/events", type="FlightScheduled").json()["items"]
    assert [event["source"] for event in events] == ["publisher", "operator"]
    of_operators = auditor.get("/api/v1/audit/events", type="FlightScheduled", source="operator").json()["items"]
    assert of_operators == events[1:]


def test_flights_are_scheduled_once_and_listed_by_start(
    publisher: Caller, auditor: Caller, offer: str, clock: Clock
) -> None:
    later, sooner = (utc_text(clock.now + timedelta(days=days)) for days in (2, 1))
    statuses = [
        post(publisher, flights(offer), startsAt=start, redemptionWindowDays=days).status_code
        for start, days in ((later, 30), (sooner, 45), (later, 30), (later, 31))
    ]
    assert statuses == [201, 201, 200, 409]
    clock.move(seconds=1)
    assert post(publisher, flights(offer), startsAt=utc_text(clock.now), redemptionWindowDays=30).status_code == 201
    listed = auditor.get(flights(offer)).json()
    assert [(flight["startsAt"], flight["redemptionWindowDays"]) for flight in listed["items"]] == [
        (utc_text(clock.now), 30),
        (sooner, 45),
        (later, 30),
    ]
    assert listed["nextCursor"] is None


def test_flights_are_listed_in_pages(publisher: Caller, auditor: Caller, offer: str) -> None:
    starts = ["2027-01-01T00:00:00.000000Z", "2300-01-01T00:00:00.000000Z", "9999-12-31T00:00:00.000000Z"]
    for start in starts:
        post(publisher, flights(offer), startsAt=start, redemptionWindowDays=30)
    flight_pages = list(pages(auditor, flights(offer), limit=1))
    assert [[flight["startsAt"] for flight in page] for page in flight_pages] == [[start] for start in starts]
    assert problem(auditor.get(flights(offer), cursor="x")) == (422, "validation-error", ["/query/cursor"])


def test_unknown_offer_or_activation_is_404(publisher: Caller) -> None:
    unknown = str(uuid4())
    replies = [
        activate(publisher, unknown),
        post(publisher, flights(unknown), startsAt="2027-01-01T00:00:00Z", redemptionWindowDays=30),
        publisher.get(flights(unknown)),
        publisher.get(flights("nothing")),
        publisher.get(f"{ACTIVATIONS_PATH}/{unknown}"),
        publisher.get(f"{ACTIVATIONS_PATH}/nothing"),
    ]
    assert {problem(reply)[:2] for reply in replies} == {(404, "not-found")}


@pytest.mark.parametrize(
    ("members", "pointer"),
    [
        ({"customerId": ""}, "/customerId"),
        ({"customerId": 1}, "/customerId"),
        ({"customerId": "x" * 257}, "/customerId"),
        ({"customerId": "a\0"}, "/customerId"),
        ({"offerUid": "x"}, "/offerUid"),
        ({"activatedAt": "yesterday"}, "/activatedAt"),
        ({"activatedAt": "2026-11-22"}, "/activatedAt"),
        ({"activatedAt": "2026-11-22T12:00:00"}, "/activatedAt"),
        ({"activatedAt": "2026-13-22T12:00:00Z"}, "/activatedAt"),
        ({"activatedAt": "0001-01-01T00:00:00+23:59"}, "/activatedAt"),
        ({"activatedAt": 1}, "/activatedAt"),
        ({"activatedAt": "2026-11-22T12:35:01.000001Z"}, "/activatedAt"),
        ({"more": 1}, "/more"),
    ],
)
def test_invalid_activation_is_422_with_field_pointer(
    publisher: Caller, offer: str, members: dict[str, Any], pointer: str
) -> None:
    reply = post(publisher, ACTIVATIONS_PATH, **({"customerId": "C-1", "offerUid": offer} | members))
    assert problem(reply) == (422, "validation-error", [pointer])


def test_times_are_accepted_with_any_utc_offset(publisher: Caller, offer: str) -> None:
    body = activate(publisher, offer, activatedAt="2026-11-22T14:32:00.5+02:00").json()
    assert body["activatedAt"] == "2026-11-22T12:32:00.500000Z"


@pytest.mark.parametrize("days", [29, 46, "30", 30.5, None])
def test_flight_window_has_30_to_45_days(publisher: Caller, offer: str, days: Any) -> None:
    reply = post(publisher, flights(offer), startsAt="2027-01-01T00:00:00Z", redemptionWindowDays=days)
    assert problem(reply) == (422, "validation-error", ["/redemptionWindowDays"])


def test_flight_in_the_past_is_422(publisher: Caller, offer: str) -> None:
    reply = post(publisher, flights(offer), startsAt="2026-11-22T12:29:59Z", redemptionWindowDays=30)
    assert problem(reply) == (422, "validation-error", ["/startsAt"])


def test_activation_body_must_be_small_json(publisher: Caller) -> None:
    def status(content: bytes, **headers: str) -> int:
        sent_headers = {name.replace("_", "-"): value for name, value in headers.items()}
        return publisher.http.post(ACTIVATIONS_PATH, content=content, headers=JSON | sent_headers).status_code

    assert status(b"{") == 400
    assert status(b"[]") == 422
    assert status(b'{"customerId":"' + b"x" * 70_000 + b'"}') == 413
    assert status(b"{}", Content_Type="text/plain") == 415
    assert status(b"{}", Content_Encoding="gzip") == 415


def test_only_publishers_activate_and_partners_cannot_read(
    partner: Caller, auditor: Caller, publisher: Caller, call: Call, token: MakeToken, offer: str
) -> None:
    operator = call(token(Role.OPERATOR))
    assert [activate(caller, offer).status_code for caller in (partner, auditor, operator)] == [403] * 3
    path = activate(publisher, offer).headers["Location"]
    statuses = [caller.get(path).status_code for caller in (partner, auditor, operator, publisher)]
    assert statuses == [403, 200, 200, 200]
    start = {"startsAt": "2027-01-01T00:00:00Z", "redemptionWindowDays": 30}
    scheduled = [
        post(caller, flights(offer), **start).status_code for caller in (partner, auditor, operator, publisher)
    ]
    assert scheduled == [403, 403, 201, 200]


def test_deleted_offer_is_redeemable_until_its_last_window_ends(
    publisher: Caller, partner: Caller, auditor: Caller, offer: str, clock: Clock
) -> None:
    activate(publisher, offer)
    clock.move(days=1)
    until = activate(publisher, offer, "C-2").json()["redeemableUntil"]
    delete(partner)
    clock.move(days=44, hours=23, minutes=59, seconds=59)

    def redeemable(choice: str) -> list[Any]:
        return [one["honouredUntil"] for one in auditor.get("/api/v1/offers", redeemable=choice).json()["items"]]

    assert (redeemable("true"), redeemable("false")) == ([until], [])
    assert auditor.get(f"/api/v1/offers/{offer}").json()["honouredUntil"] == until
    clock.move(seconds=1)
    assert (redeemable("true"), redeemable("false")) == ([], [None])
