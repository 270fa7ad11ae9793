"""Verdicts on purchases, as known at a time, and those that a late fact has changed. (Contract, sections 5 and 6.)"""

from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import httpx2
import pytest

from api.service import Service
from domain.values import Role, redemption_uid, utc_text
from projections.redemption import changed_verdicts
from tests.support.calls import publishers
from tests.support.calls.merchants import delete, limit, merchant_offer, position, put, uid_of
from tests.support.calls.paging import items_of, pages
from tests.support.calls.publishers import INSTANT, JSON, problem
from tests.support.examples import PARTNER, body
from tests.support.harness import Call, Caller, Clock, MakeToken

VERDICT_PATH = "/api/v1/redemption-verdict"
CHANGED_PATH = "/api/v1/audit/changed-verdicts"
DAYS = timedelta(days=45)
NOT_ACTIVATED = {"valid": False, "reason": "not-activated", "activationId": None, "offerVersion": None}
WINDOW_CLOSED = NOT_ACTIVATED | {"reason": "redemption-window-closed"}


@pytest.fixture
def bought(clock: Clock, offer: str) -> datetime:  # noqa: ARG001 - the offer is there first
    """When the purchases of a test are made; two days later they are told of."""
    at = clock.now
    clock.move(days=2)
    return at


def activate(caller: Caller, offer: str, at: datetime, customer: str = "C-1") -> str:
    reply = publishers.activate(caller, offer, customer, activatedAt=utc_text(at))
    assert reply.status_code == 201
    return str(reply.json()["activationId"])


def redeem(
    caller: Caller, offer: str, at: datetime, transaction: str = "T-1", customer: str = "C-1"
) -> httpx2.Response:
    return publishers.redeem(caller, offer, at, transactionId=transaction, customerId=customer)


def question(offer: str, at: datetime) -> dict[str, Any]:
    return {"customerId": "C-1", "offerUid": offer, "transactedAt": utc_text(at)}


def verdict(caller: Caller, offer: str, at: datetime, as_of: datetime | None = None, **more: Any) -> dict[str, Any]:
    asked = question(offer, at) | ({"asOf": utc_text(as_of)} if as_of else {}) | more
    reply = caller.get(VERDICT_PATH, **asked)
    assert reply.status_code == 200, reply.text
    told: dict[str, Any] = reply.json()
    return told


def changed(caller: Caller, since: datetime, until: datetime, **more: Any) -> list[dict[str, Any]]:
    return items_of(caller.get(CHANGED_PATH, **span(since, until), **more))


def span(since: datetime, until: datetime) -> dict[str, Any]:
    return {"from": utc_text(since), "to": utc_text(until)}


def valid(activation: str) -> dict[str, Any]:
    return {"valid": True, "reason": None, "activationId": activation, "offerVersion": 1}


def transactions(items: list[dict[str, Any]]) -> list[str]:
    return [item["transactionId"] for item in items]


# One purchase


def test_a_verdict_says_on_which_terms_a_purchase_is_owed(
    publisher: Caller, partner: Caller, auditor: Caller, offer: str, clock: Clock
) -> None:
    activated_at = clock.now
    activation = activate(publisher, offer, activated_at)
    put(partner, merchant_offer(offerName="Another"))
    delete(partner)
    clock.move(days=1)
    told = verdict(auditor, offer, clock.now)
    window = {
        "activationId": activation,
        "activatedAt": utc_text(activated_at),
        "redeemableUntil": utc_text(activated_at + DAYS),
    }
    assert told == {
        **valid(activation),
        **window,
        "customerId": "C-1",
        "offerUid": offer,
        "transactedAt": utc_text(clock.now),
        "redemptionWindowDays": 45,
        "content": merchant_offer(),
        "windows": [window],
        "position": position(auditor),
        "asOf": utc_text(activated_at + 2 * INSTANT),
    }


def test_a_verdict_says_why_a_purchase_is_not_owed_and_which_windows_there_are(
    publisher: Caller, auditor: Caller, offer: str, clock: Clock
) -> None:
    terms = dict.fromkeys(("activatedAt", "redemptionWindowDays", "redeemableUntil", "content"))
    never = verdict(auditor, offer, clock.now)
    assert never == never | NOT_ACTIVATED | terms | {"windows": []}
    activation = activate(publisher, offer, clock.now)
    closed = verdict(auditor, offer, clock.now + DAYS)
    assert closed == closed | WINDOW_CLOSED | terms
    assert [window["activationId"] for window in closed["windows"]] == [activation]
    assert verdict(auditor, offer, clock.now, customerId="C-2")["reason"] == "not-activated"


def test_a_verdict_is_that_of_the_windows_first_instant_until_before_its_last(
    publisher: Caller, auditor: Caller, offer: str, clock: Clock
) -> None:
    begin = clock.now
    activate(publisher, offer, begin)
    told = [
        verdict(auditor, offer, at)["valid"] for at in (begin - INSTANT, begin, begin + DAYS - INSTANT, begin + DAYS)
    ]
    assert told == [False, True, True, False]


def test_a_verdict_is_by_what_had_been_recorded_until_then(
    publisher: Caller, auditor: Caller, offer: str, bought: datetime, clock: Clock
) -> None:
    told = clock.now
    activation = activate(publisher, offer, bought)
    clock.move(days=1)
    before, then, now, later = (
        verdict(auditor, offer, bought, as_of) for as_of in (told - INSTANT, told, None, clock.now + timedelta(days=9))
    )
    assert before == before | NOT_ACTIVATED | {"windows": [], "position": position(auditor) - 1}
    assert then == then | valid(activation) | {"position": position(auditor), "asOf": utc_text(told)}
    assert now == later == then


def test_before_anything_was_recorded_nothing_is_known(
    publisher: Caller, auditor: Caller, offer: str, clock: Clock
) -> None:
    activate(publisher, offer, clock.now)
    told = verdict(auditor, offer, clock.now, clock.now - timedelta(days=1))
    assert told == told | NOT_ACTIVATED | {"windows": [], "position": 0, "asOf": None}


def test_to_ask_for_a_verdict_leaves_no_trace(publisher: Caller, auditor: Caller, offer: str, clock: Clock) -> None:
    before = position(auditor)
    verdict(publisher, offer, clock.now)
    assert position(auditor) == before


def test_a_verdict_is_asked_for_by_customer_offer_and_time(auditor: Caller, offer: str, clock: Clock) -> None:
    asked = question(offer, clock.now)
    assert auditor.get(VERDICT_PATH, **asked).status_code == 200
    for name in asked:
        rest = {other: value for other, value in asked.items() if other != name}
        for values in (rest, asked | {name: ""}):
            assert problem(auditor.get(VERDICT_PATH, **values)) == (422, "validation-error", [f"/query/{name}"])
    for name, value in {"offerUid": "x", "transactedAt": "2026-11-22", "asOf": "now", "at": "x"}.items():
        reply = auditor.get(VERDICT_PATH, **asked | {name: value})
        assert problem(reply) == (422, "validation-error", [f"/query/{name}"])
    assert problem(auditor.get(VERDICT_PATH, **asked | {"offerUid": str(uuid4())})) == (404, "not-found", [])


def test_everyone_but_partners_may_ask_for_a_verdict(
    partner: Caller, publisher: Caller, auditor: Caller, call: Call, token: MakeToken, offer: str, clock: Clock
) -> None:
    asked = question(offer, clock.now)
    callers = [call(None), partner, publisher, auditor, call(token(Role.OPERATOR))]
    assert [caller.get(VERDICT_PATH, **asked).status_code for caller in callers] == [401, 403, 200, 200, 200]


# Those that have changed


def test_a_refusal_whose_verdict_has_changed_is_told_with_the_late_fact(
    publisher: Caller, auditor: Caller, offer: str, bought: datetime, clock: Clock
) -> None:
    refused = clock.now
    assert redeem(publisher, offer, bought).status_code == 409
    clock.move(days=1)
    activation = activate(publisher, offer, bought - INSTANT)
    assert changed(auditor, refused, clock.now) == [
        {
            "redemptionId": str(redemption_uid("T-1")),
            "transactionId": "T-1",
            "type": "RedemptionRefused",
            "customerId": "C-1",
            "offerUid": offer,
            "partner": PARTNER,
            "amount": "12.50",
            "currency": "USD",
            "transactedAt": utc_text(bought),
            "recordedAt": utc_text(refused),
            "before": NOT_ACTIVATED,
            "after": valid(activation),
            "lateFact": {
                "type": "OfferActivated",
                "activationId": activation,
                "activatedAt": utc_text(bought - INSTANT),
                "recordedAt": utc_text(clock.now),
                "position": position(auditor),
                "actor": "publisher-None",
            },
        }
    ]


def test_a_redemption_on_a_late_activation_is_told_though_it_was_never_refused(
    publisher: Caller, auditor: Caller, offer: str, bought: datetime, clock: Clock
) -> None:
    activation = activate(publisher, offer, bought)
    clock.move(days=1)
    assert redeem(publisher, offer, bought).status_code == 201
    (told,) = changed(auditor, bought, clock.now)
    assert (told["type"], told["recordedAt"]) == ("OfferRedeemed", utc_text(clock.now))
    assert (told["before"], told["after"]) == (NOT_ACTIVATED, valid(activation))
    assert told["lateFact"]["activationId"] == activation


def test_a_purchase_is_told_once_as_what_was_last_recorded_of_it_by_then(
    publisher: Caller, auditor: Caller, offer: str, bought: datetime, clock: Clock
) -> None:
    redeem(publisher, offer, bought)
    clock.move(days=1)
    activate(publisher, offer, bought)
    clock.move(days=1)
    path = redeem(publisher, offer, bought).headers["Location"]
    clock.move(days=1)
    sent = body({"reversalId": "R-1", "amount": "1"})
    assert publisher.http.post(f"{path}/reversals", content=sent, headers=JSON).status_code == 201
    redeemed = clock.now - timedelta(days=1)
    told = [changed(auditor, bought, until) for until in (redeemed - INSTANT, redeemed, clock.now)]
    assert [[item["type"] for item in items] for items in told] == [
        ["RedemptionRefused"],
        ["OfferRedeemed"],
        ["OfferRedeemed"],
    ]


def test_what_was_known_in_time_has_not_changed(
    publisher: Caller, auditor: Caller, offer: str, bought: datetime, clock: Clock
) -> None:
    activate(publisher, offer, clock.now)
    clock.move(days=1)
    assert redeem(publisher, offer, clock.now).status_code == 201
    assert changed(auditor, bought, clock.now) == []


def test_a_refusal_that_still_holds_has_not_changed(
    publisher: Caller, auditor: Caller, offer: str, bought: datetime, clock: Clock
) -> None:
    activate(publisher, offer, bought + INSTANT)
    assert redeem(publisher, offer, bought).status_code == 409
    clock.move(days=1)
    since = clock.now
    clock.move(days=45)
    activate(publisher, offer, clock.now)
    assert changed(auditor, since, clock.now) == []


def test_what_another_customer_has_activated_changes_nothing(
    publisher: Caller, auditor: Caller, offer: str, bought: datetime, clock: Clock
) -> None:
    assert redeem(publisher, offer, bought).status_code == 409
    clock.move(days=1)
    activate(publisher, offer, bought, "C-2")
    assert changed(auditor, bought, clock.now) == []


def test_another_reason_is_another_verdict(
    publisher: Caller, auditor: Caller, offer: str, bought: datetime, clock: Clock
) -> None:
    redeem(publisher, offer, bought)
    clock.move(days=1)
    activation = activate(publisher, offer, clock.now)
    (told,) = changed(auditor, bought, clock.now)
    assert (told["before"], told["after"]) == (NOT_ACTIVATED, WINDOW_CLOSED)
    assert told["lateFact"]["activationId"] == activation


def test_before_is_not_before_the_purchase_was_made(
    publisher: Caller, auditor: Caller, offer: str, clock: Clock
) -> None:
    long_ago = clock.now
    activate(publisher, offer, clock.now)
    clock.move(days=50)
    purchased = clock.now
    clock.move(days=1)
    assert redeem(publisher, offer, purchased).status_code == 409
    activation = activate(publisher, offer, purchased)
    (told,) = changed(auditor, long_ago - timedelta(days=1), clock.now + INSTANT)
    assert (told["before"], told["after"]) == (WINDOW_CLOSED, valid(activation))
    assert told["lateFact"]["activationId"] == activation


def test_the_late_fact_must_have_been_recorded_after_from_and_not_after_to(
    publisher: Caller, auditor: Caller, offer: str, bought: datetime, clock: Clock
) -> None:
    redeem(publisher, offer, bought)
    clock.move(days=1)
    late = clock.now
    activate(publisher, offer, bought)
    spans = [(late - INSTANT, late), (late, late + DAYS), (bought, late - INSTANT), (bought - DAYS, late + DAYS)]
    assert [len(changed(auditor, *when)) for when in spans] == [1, 0, 0, 1]


def test_a_purchase_must_have_been_told_by_to(
    publisher: Caller, auditor: Caller, offer: str, bought: datetime, clock: Clock
) -> None:
    activate(publisher, offer, bought)
    clock.move(days=1)
    redeem(publisher, offer, bought)
    told = [len(changed(auditor, bought, until)) for until in (clock.now - INSTANT, clock.now)]
    assert told == [0, 1]


def test_changed_verdicts_come_in_the_order_of_their_late_facts(
    publisher: Caller, auditor: Caller, offer: str, bought: datetime, clock: Clock
) -> None:
    customers = ("C-1", "C-2", "C-3")
    for customer in customers:
        redeem(publisher, offer, bought, f"T of {customer}", customer)
    for customer in reversed(customers):
        activate(publisher, offer, bought, customer)
    clock.move(days=1)
    assert transactions(changed(auditor, bought, clock.now)) == ["T of C-3", "T of C-2", "T of C-1"]


def test_later_pages_know_no_more_than_the_first_one(
    publisher: Caller, auditor: Caller, offer: str, bought: datetime, clock: Clock
) -> None:
    """Though `to` lies ahead."""
    for number in (1, 2):
        redeem(publisher, offer, bought, f"T-{number}")
    activate(publisher, offer, bought)
    asked = span(bought, clock.now + DAYS) | {"limit": 1}
    first = auditor.get(CHANGED_PATH, **asked).json()
    clock.move(seconds=1)
    assert redeem(publisher, offer, bought, "T-1").status_code == 201
    redeem(publisher, offer, bought, "T-3")
    second = auditor.get(CHANGED_PATH, **asked, cursor=first["nextCursor"]).json()
    assert transactions([*first["items"], *second["items"]]) == ["T-1", "T-2"]
    assert [item["type"] for item in second["items"]] == ["RedemptionRefused"]
    assert (second["position"], second["nextCursor"]) == (first["position"], None)


def test_a_purchase_that_was_told_ahead_of_its_time_has_a_verdict_from_then_on(
    publisher: Caller, auditor: Caller, offer: str, clock: Clock
) -> None:
    """The clocks of two machines differ by some minutes."""
    told = clock.now
    assert redeem(publisher, offer, told + timedelta(minutes=4)).status_code == 409
    clock.move(minutes=1)
    activation = activate(publisher, offer, clock.now)
    for later in (0, 10):
        clock.move(minutes=later, seconds=1)
        (item,) = changed(auditor, told + timedelta(seconds=1), clock.now)
        assert (item["before"], item["after"]) == (NOT_ACTIVATED, valid(activation))


def test_changed_verdicts_come_in_pages_in_the_order_of_their_transactions(
    publisher: Caller,
    auditor: Caller,
    offer: str,
    bought: datetime,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(changed_verdicts, "ROWS_PER_QUERY", 2)
    names = [f"T-{number}" for number in (3, 1, 4, 2, 5)]
    for name in names:
        redeem(publisher, offer, bought, name, customer="C-1")
        redeem(publisher, offer, bought, f"{name} of another", customer="C-2")
    clock.move(days=1)
    activate(publisher, offer, bought)
    for name in names[:3]:
        assert redeem(publisher, offer, bought, name).status_code == 201
    clock.move(days=1)
    asked = span(bought, clock.now)
    for size in (1, 2, 5, 100):
        found = [transactions(page) for page in pages(auditor, CHANGED_PATH, **asked, limit=size)]
        assert found == [names[start : start + size] for start in range(0, len(names), size)], size


def test_changed_verdicts_can_be_those_on_one_partners_offers(
    publisher: Caller,
    auditor: Caller,
    offer: str,
    bought: datetime,
    clock: Clock,
    call: Call,
    token: MakeToken,
    service: Service,
) -> None:
    other = call(token(partner="juniper"))
    limit(service, "juniper")
    assert put(other).status_code == 202
    theirs = str(uid_of(partner="juniper"))
    clock.move(days=1)
    purchased = clock.now
    clock.move(days=1)
    for name, uid in (("T-1", offer), ("T-2", theirs)):
        redeem(publisher, uid, purchased, name)
        activate(publisher, uid, purchased)
    told = [
        transactions(changed(auditor, bought, clock.now + INSTANT * 9, **by))
        for by in ({}, {"partner": PARTNER}, {"partner": "juniper"}, {"partner": "nobody"})
    ]
    assert told == [["T-1", "T-2"], ["T-1"], ["T-2"], []]


def test_changed_verdicts_are_asked_for_by_two_times(auditor: Caller, clock: Clock) -> None:
    assert changed(auditor, clock.now, clock.now) == []
    backwards = auditor.get(CHANGED_PATH, **span(clock.now, clock.now - INSTANT))
    assert problem(backwards) == (422, "validation-error", ["/query/to"])
    asked = span(clock.now, clock.now)
    missing = auditor.get(CHANGED_PATH)
    assert problem(missing) == (422, "validation-error", ["/query/from", "/query/to"])
    for name, value in {"from": "x", "to": "2026-11-22", "limit": "0", "partner": "", "cursor": "x", "at": "x"}.items():
        reply = auditor.get(CHANGED_PATH, **asked | {name: value})
        assert problem(reply) == (422, "validation-error", [f"/query/{name}"]), name


def test_a_cursor_belongs_to_its_question(
    publisher: Caller, auditor: Caller, offer: str, bought: datetime, clock: Clock
) -> None:
    for name in ("T-1", "T-2"):
        redeem(publisher, offer, bought, name)
    activate(publisher, offer, bought)
    asked = span(bought, clock.now + DAYS)
    cursor = auditor.get(CHANGED_PATH, **asked, limit=1).json()["nextCursor"]
    assert transactions(items_of(auditor.get(CHANGED_PATH, **asked, cursor=cursor))) == ["T-2"]
    for other in ({"partner": PARTNER}, {"to": utc_text(clock.now)}, {"from": utc_text(clock.now)}):
        reply = auditor.get(CHANGED_PATH, **asked | other, cursor=cursor)
        assert problem(reply) == (422, "validation-error", ["/query/cursor"])


def test_only_auditors_and_operators_see_which_verdicts_have_changed(
    partner: Caller, publisher: Caller, auditor: Caller, call: Call, token: MakeToken, clock: Clock
) -> None:
    callers = [call(None), partner, publisher, auditor, call(token(Role.OPERATOR))]
    asked = span(clock.now, clock.now)
    assert [caller.get(CHANGED_PATH, **asked).status_code for caller in callers] == [401, 403, 403, 200, 200]
