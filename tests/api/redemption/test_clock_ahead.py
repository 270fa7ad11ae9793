"""The clock was two hours ahead for one commit, and is right again: the clock decides a caller's now (contract, section 1)."""

import json
from datetime import timedelta
from typing import Any

import pytest

from api.export.replay import compare_with_replay
from api.http.as_of import NOW
from api.redemption.activation_routes import ACTIVATIONS_PATH
from api.redemption.redemption_routes import REDEMPTIONS_PATH
from api.service import Service
from domain.access.partner import SetPartner
from domain.values import no_progress, utc_text
from tests.support.calls.merchants import delete, limit, put, uid_of
from tests.support.calls.paging import pages
from tests.support.calls.publishers import INSTANT, activate, post, problem, redeem
from tests.support.examples import PARTNER
from tests.support.harness import OPERATOR, Caller, Clock

WINDOWS = "/api/v1/redemption-windows"
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
OLD, AHEAD, NEW = "OFR-OLD", "OFR-AHEAD", "OFR-NEW"
"""Offers that were created before the clock jumped, while it was ahead, and after it was right again."""


def jump(partner: Caller, clock: Clock) -> None:
    """Stores one commit with a clock that is two hours ahead, and sets the clock right."""
    clock.move(hours=2)
    assert put(partner, offer=AHEAD).status_code == 202
    clock.move(hours=-2, seconds=1)


@pytest.fixture
def old(partner: Caller, service: Service, clock: Clock) -> str:
    """The id of an offer that was created twenty days ago."""
    limit(service)
    assert put(partner, offer=OLD).status_code == 202
    clock.move(days=20)
    return str(uid_of(offer=OLD))


@pytest.fixture
def new(old: str, partner: Caller, clock: Clock) -> str:
    """The id of an offer that was created after the jump, one second ago. Its recorded time is two hours ahead."""
    jump(partner, clock)
    assert put(partner, offer=NEW).status_code == 202
    clock.move(seconds=1)
    return str(uid_of(offer=NEW))


# Activations


def test_activation_without_a_time_has_that_of_the_clock(publisher: Caller, new: str, clock: Clock) -> None:
    assert activate(publisher, new).json()["activatedAt"] == utc_text(clock.now)
    clock.move(seconds=1)
    assert redeem(publisher, new, clock.now).status_code == 201


def test_true_activation_time_of_a_newer_offer_is_accepted(publisher: Caller, new: str, clock: Clock) -> None:
    reply = activate(publisher, new, activatedAt=utc_text(clock.now))
    assert (reply.status_code, reply.json()["offerVersion"], reply.json()["late"]) == (201, 1, False)


def test_batch_of_activations_uses_the_clock(publisher: Caller, new: str, clock: Clock) -> None:
    times = (None, clock.now, clock.now + timedelta(minutes=5), clock.now + timedelta(minutes=5) + INSTANT)
    lines = [
        {"customerId": f"C-{number}", "offerUid": new, "activatedAt": time and utc_text(time)}
        for number, time in enumerate(times)
    ]
    content = b"\n".join(json.dumps(line).encode() for line in lines)
    reply = publisher.http.post(
        f"{ACTIVATIONS_PATH}/batch", content=content, headers={"Content-Type": "application/x-ndjson"}
    )
    assert [item["status"] for item in reply.json()["items"]] == [201, 201, 201, 422]


def test_future_is_decided_by_the_clock(publisher: Caller, new: str, clock: Clock) -> None:
    future = clock.now + HOUR
    assert problem(activate(publisher, new, activatedAt=utc_text(future))) == (
        422,
        "validation-error",
        ["/activatedAt"],
    )
    activate(publisher, new)
    assert problem(redeem(publisher, new, future)) == (422, "validation-error", ["/transactedAt"])


def test_lateness_is_decided_by_the_clock(publisher: Caller, old: str, partner: Caller, clock: Clock) -> None:
    jump(partner, clock)
    for late, status in ((14 * DAY, 201), (14 * DAY + INSTANT, 409)):
        reply = activate(publisher, old, f"C-{status}", activatedAt=utc_text(clock.now - late))
        assert reply.status_code == status


def test_current_status_decides_after_the_last_commit_not_ahead(
    publisher: Caller, old: str, partner: Caller, service: Service, clock: Clock
) -> None:
    service.ledger.handle(SetPartner(PARTNER, redemption_window_days=40), OPERATOR)
    last_not_ahead = clock.now
    clock.move(minutes=1)
    jump(partner, clock)
    delete(partner, offer=OLD)
    service.ledger.handle(SetPartner(PARTNER, redemption_window_days=30), OPERATOR)
    clock.move(seconds=1)
    reply = activate(publisher, old, activatedAt=utc_text(last_not_ahead))
    assert (reply.status_code, reply.json()["late"], reply.json()["redemptionWindowDays"]) == (201, True, 40)
    for time in (last_not_ahead + INSTANT, clock.now):
        assert activate(publisher, old, "C-2", activatedAt=utc_text(time)).status_code == 409
    assert put(partner, offer=OLD).status_code == 202
    reply = activate(publisher, old, "C-2", activatedAt=utc_text(last_not_ahead + INSTANT))
    assert (reply.json()["offerVersion"], reply.json()["redemptionWindowDays"]) == (3, 30)


def test_recorded_times_decide_again_when_the_clock_has_passed_them(
    publisher: Caller, old: str, partner: Caller, clock: Clock
) -> None:
    jump(partner, clock)
    deleted = clock.now
    delete(partner, offer=OLD)
    clock.move(hours=3)
    assert activate(publisher, old, activatedAt=utc_text(deleted)).status_code == 201


# Flights


def test_flight_can_start_at_the_time_of_the_clock(publisher: Caller, new: str, clock: Clock) -> None:
    path = f"/api/v1/offers/{new}/flights"
    statuses = [
        post(publisher, path, startsAt=utc_text(start), redemptionWindowDays=30).status_code
        for start in (clock.now - INSTANT, clock.now)
    ]
    assert statuses == [422, 201]
    assert activate(publisher, new).json()["redemptionWindowDays"] == 30


# Reads


def windows(caller: Caller, **params: Any) -> dict[str, Any]:
    document: dict[str, Any] = caller.get(WINDOWS, **params).json()
    return document


def test_windows_are_evaluated_at_the_time_of_the_clock(
    publisher: Caller, new: str, partner: Caller, service: Service, clock: Clock
) -> None:
    path = activate(publisher, new).headers["Location"]
    bought = redeem(publisher, new, clock.now).json()["redemptionId"]
    post(publisher, f"{REDEMPTIONS_PATH}/{bought}/reversals", reversalId="R-1", amount="2.50")
    listed = windows(publisher)
    (window,) = listed["items"]
    assert (listed["at"], window["state"], window["activatedAt"]) == (utc_text(clock.now), "open", utc_text(clock.now))
    assert window["redeemed"] == [{"currency": "USD", "amount": "10.00", "redemptions": 1}]
    assert publisher.get(path).json()["at"] == utc_text(clock.now)
    delete(partner, offer=NEW)
    times: list[dict[str, Any]] = [{}, {"at": utc_text(clock.now)}, {"at": utc_text(clock.now + DAY)}]
    for params in times:
        states = [publisher.get(path, **params).json()["state"], windows(publisher, **params)["items"][0]["state"]]
        assert states == ["winding_down", "winding_down"], params


def test_pages_of_windows_keep_the_applicable_statuses(
    publisher: Caller, new: str, partner: Caller, clock: Clock
) -> None:
    for offer in (str(uid_of(offer=AHEAD)), new):
        activate(publisher, offer)
    delete(partner, offer=NEW)
    first = windows(publisher, limit=1)
    clock.move(days=1)
    rest = windows(publisher, limit=1, cursor=first["nextCursor"])
    assert [page["items"][0]["state"] for page in (first, rest)] == ["open", "winding_down"]
    assert rest["at"] == first["at"]


def test_window_before_the_recorded_creation_is_open(
    publisher: Caller, new: str, partner: Caller, clock: Clock
) -> None:
    path = activate(publisher, new).headers["Location"]
    at = utc_text(clock.now + timedelta(minutes=1))
    clock.move(days=1)
    delete(partner, offer=NEW)
    clock.move(seconds=1)
    assert (publisher.get(path, at=at).json()["state"], windows(publisher, at=at)["items"][0]["state"]) == ("open",) * 2


def test_offer_is_redeemable_until_the_clock_passes_its_windows(
    publisher: Caller, partner: Caller, auditor: Caller, old: str, clock: Clock
) -> None:
    activate(publisher, old)
    until = clock.now + 45 * DAY
    delete(partner, offer=OLD)
    clock.now = until - HOUR
    jump(partner, clock)
    path = f"/api/v1/offers/{old}"
    assert auditor.get(path).json()["honouredUntil"] == utc_text(until)
    redeemable = [offer["externalId"] for page in pages(auditor, "/api/v1/offers", redeemable="true") for offer in page]
    assert redeemable == [OLD, AHEAD]
    clock.now = until
    assert auditor.get(path).json()["honouredUntil"] is None


def test_past_states_keep_their_windows_after_the_jump(
    publisher: Caller, auditor: Caller, new: str, clock: Clock
) -> None:
    clock.move(hours=3)
    activate(publisher, new)
    until = utc_text(clock.now + 45 * DAY)
    clock.move(hours=-3)
    position = auditor.get("/api/v1/offers").json()["position"]
    shown = [
        auditor.get(f"/api/v1/offers/{new}", **params).json()["honouredUntil"]
        for params in ({}, {"asOfPosition": position})
    ]
    assert shown == [until, until]


def test_replay_agrees_with_all_answers_of_the_present(
    publisher: Caller, partner: Caller, service: Service, new: str, clock: Clock, tmp_path: Any
) -> None:
    activate(publisher, new)
    bought = redeem(publisher, new, clock.now).json()["redemptionId"]
    clock.move(hours=4)
    activate(publisher, str(uid_of(offer=AHEAD)))
    clock.move(hours=-4)
    post(publisher, f"{REDEMPTIONS_PATH}/{bought}/reversals", reversalId="R-1", amount="2.50")
    delete(partner, offer=NEW)
    assert compare_with_replay(service, NOW, tmp_path / "replay.db", no_progress).differences == []
