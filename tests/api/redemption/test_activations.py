"""Activations and flights over the wire. (Contract, section 5.)"""

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


def test_an_activation_is_told_with_its_terms(publisher: Caller, offer: str, clock: Clock) -> None:
    reply = activate(publisher, offer)
    told = reply.json()
    assert reply.status_code == 201
    assert told == {
        "activationId": told["activationId"],
        "offerUid": offer,
        "customerId": "C-1",
        "offerVersion": 1,
        "activatedAt": utc_text(clock.now),
        "redemptionWindowDays": 45,
        "redeemableUntil": utc_text(clock.now + timedelta(days=45)),
        "late": False,
    }
    assert reply.headers["Location"] == f"{ACTIVATIONS_PATH}/{told['activationId']}"


def test_an_offer_can_be_activated_as_soon_as_it_is_there(publisher: Caller, partner: Caller, service: Service) -> None:
    """Recorded times go on though the clock stands still."""
    limit(service)
    assert put(partner).status_code == 202
    assert activate(publisher, str(uid_of())).status_code == 201


def test_the_same_customer_again_is_200_with_the_same_activation(
    publisher: Caller, offer: str, service: Service, clock: Clock
) -> None:
    first = activate(publisher, offer)
    clock.move(days=44)
    again = activate(publisher, offer)
    assert (again.status_code, again.json()) == (200, first.json())
    assert activate(publisher, offer, "C-2").status_code == 201
    clock.move(days=1)
    assert activate(publisher, offer).status_code == 201
    assert verify(service.ledger) == []


def test_the_activation_shows_the_offer_as_activated_and_the_state_of_its_window(
    publisher: Caller, partner: Caller, auditor: Caller, offer: str, clock: Clock
) -> None:
    path = activate(publisher, offer).headers["Location"]
    until = clock.now + timedelta(days=45)
    assert publisher.get(path).json()["state"] == "open"
    clock.move(days=1)
    put(partner, merchant_offer(offerName="Another"))
    delete(partner)
    clock.move(seconds=1)
    told = auditor.get(path).json()
    assert (told["state"], told["content"], told["offerVersion"]) == ("winding_down", merchant_offer(), 1)
    assert told["redeemableUntil"] == utc_text(until)
    states = {
        utc_text(at): auditor.get(path, at=utc_text(at)).json()["state"]
        for at in (until - timedelta(days=46), until - timedelta(days=45), until - timedelta(microseconds=1), until)
    }
    assert list(states.values()) == [None, "open", "winding_down", "expired"]


def test_an_offer_must_have_been_active_at_that_instant(
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


def test_the_days_are_those_of_the_flight_then_of_the_partner(
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


def test_a_late_report_gets_the_days_that_were_set_when_it_was_activated(
    publisher: Caller, offer: str, service: Service, clock: Clock
) -> None:
    before = utc_text(clock.now)
    clock.move(days=1)
    service.ledger.handle(SetPartner(PARTNER, redemption_window_days=30), OPERATOR)
    assert activate(publisher, offer, activatedAt=before).json()["redemptionWindowDays"] == 45
    assert activate(publisher, offer, "C-2").json()["redemptionWindowDays"] == 30


def test_flights_are_scheduled_once_and_listed_by_their_starts(
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
    assert [(one["startsAt"], one["redemptionWindowDays"]) for one in listed["items"]] == [
        (utc_text(clock.now), 30),
        (sooner, 45),
        (later, 30),
    ]
    assert listed["nextCursor"] is None


def test_flights_come_in_pages(publisher: Caller, auditor: Caller, offer: str) -> None:
    starts = ["2027-01-01T00:00:00.000000Z", "2300-01-01T00:00:00.000000Z", "9999-12-31T00:00:00.000000Z"]
    for start in starts:
        post(publisher, flights(offer), startsAt=start, redemptionWindowDays=30)
    found = list(pages(auditor, flights(offer), limit=1))
    assert [[flight["startsAt"] for flight in page] for page in found] == [[start] for start in starts]
    assert problem(auditor.get(flights(offer), cursor="x")) == (422, "validation-error", ["/query/cursor"])


def test_what_is_unknown_is_404(publisher: Caller) -> None:
    nobody = str(uuid4())
    replies = [
        activate(publisher, nobody),
        post(publisher, flights(nobody), startsAt="2027-01-01T00:00:00Z", redemptionWindowDays=30),
        publisher.get(flights(nobody)),
        publisher.get(flights("nothing")),
        publisher.get(f"{ACTIVATIONS_PATH}/{nobody}"),
        publisher.get(f"{ACTIVATIONS_PATH}/nothing"),
    ]
    assert {problem(reply)[:2] for reply in replies} == {(404, "not-found")}


@pytest.mark.parametrize(
    ("sent", "place"),
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
def test_what_is_not_in_order_is_422_and_names_the_field(
    publisher: Caller, offer: str, sent: dict[str, Any], place: str
) -> None:
    reply = post(publisher, ACTIVATIONS_PATH, **({"customerId": "C-1", "offerUid": offer} | sent))
    assert problem(reply) == (422, "validation-error", [place])


def test_times_are_taken_in_any_offset(publisher: Caller, offer: str) -> None:
    told = activate(publisher, offer, activatedAt="2026-11-22T14:32:00.5+02:00").json()
    assert told["activatedAt"] == "2026-11-22T12:32:00.500000Z"


@pytest.mark.parametrize("days", [29, 46, "30", 30.5, None])
def test_flights_have_30_to_45_days(publisher: Caller, offer: str, days: Any) -> None:
    reply = post(publisher, flights(offer), startsAt="2027-01-01T00:00:00Z", redemptionWindowDays=days)
    assert problem(reply) == (422, "validation-error", ["/redemptionWindowDays"])


def test_a_flight_in_the_past_is_422(publisher: Caller, offer: str) -> None:
    reply = post(publisher, flights(offer), startsAt="2026-11-22T12:29:59Z", redemptionWindowDays=30)
    assert problem(reply) == (422, "validation-error", ["/startsAt"])


def test_bodies_are_json_and_small(publisher: Caller) -> None:
    def status(content: bytes, **headers: str) -> int:
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        return publisher.http.post(ACTIVATIONS_PATH, content=content, headers=JSON | given).status_code

    assert status(b"{") == 400
    assert status(b"[]") == 422
    assert status(b'{"customerId":"' + b"x" * 70_000 + b'"}') == 413
    assert status(b"{}", Content_Type="text/plain") == 415
    assert status(b"{}", Content_Encoding="gzip") == 415


def test_only_publishers_report_and_no_partner_reads(
    partner: Caller, auditor: Caller, publisher: Caller, call: Call, token: MakeToken, offer: str
) -> None:
    operator = call(token(Role.OPERATOR))
    assert [activate(caller, offer).status_code for caller in (partner, auditor, operator)] == [403] * 3
    path = activate(publisher, offer).headers["Location"]
    told = [caller.get(path).status_code for caller in (partner, auditor, operator, publisher)]
    assert told == [403, 200, 200, 200]
    start = {"startsAt": "2027-01-01T00:00:00Z", "redemptionWindowDays": 30}
    scheduled = [
        post(caller, flights(offer), **start).status_code for caller in (partner, auditor, operator, publisher)
    ]
    assert scheduled == [403, 403, 201, 200]


def test_an_offer_that_is_gone_is_redeemable_to_the_end_of_its_last_window(
    publisher: Caller, partner: Caller, auditor: Caller, offer: str, clock: Clock
) -> None:
    activate(publisher, offer)
    clock.move(days=1)
    until = activate(publisher, offer, "C-2").json()["redeemableUntil"]
    delete(partner)
    clock.move(days=44, hours=23, minutes=59, seconds=59)

    def redeemable(told: str) -> list[Any]:
        return [one["honouredUntil"] for one in auditor.get("/api/v1/offers", redeemable=told).json()["items"]]

    assert (redeemable("true"), redeemable("false")) == ([until], [])
    assert auditor.get(f"/api/v1/offers/{offer}").json()["honouredUntil"] == until
    clock.move(seconds=1)
    assert (redeemable("true"), redeemable("false")) == ([], [None])
