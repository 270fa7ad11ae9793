"""Tests of verdicts on purchases as known at a time, and of changed verdicts (contract, sections 5 and 6)."""

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
def bought(clock: Clock, offer: str) -> datetime:
    """The time of a test's purchases. The clock is two days later, when they are reported."""
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


def verdict_parameters(offer: str, at: datetime) -> dict[str, Any]:
    return {"customerId": "C-1", "offerUid": offer, "transactedAt": utc_text(at)}


def verdict(
    caller: Caller, offer: str, at: datetime, as_of: datetime | None = None, **parameters: Any
) -> dict[str, Any]:
    as_of_parameter = {"asOf": utc_text(as_of)} if as_of else {}
    reply = caller.get(VERDICT_PATH, **verdict_parameters(offer, at) | as_of_parameter | parameters)
    assert reply.status_code == 200, reply.text
    document: dict[str, Any] = reply.json()
    return document


def changed_verdict_items(caller: Caller, since: datetime, until: datetime, **parameters: Any) -> list[dict[str, Any]]:
    return items_of(caller.get(CHANGED_PATH, **time_range(since, until), **parameters))


def time_range(since: datetime, until: datetime) -> dict[str, Any]:
    return {"from": utc_text(since), "to": utc_text(until)}


def valid(activation: str) -> dict[str, Any]:
    return {"valid": True, "reason": None, "activationId": activation, "offerVersion": 1}


def transactions(items: list[dict[str, Any]]) -> list[str]:
    return [item["transactionId"] for item in items]


# Single verdicts


def test_valid_verdict_has_the_terms_of_the_activation(
    publisher: Caller, partner: Caller, auditor: Caller, offer: str, clock: Clock
) -> None:
    activated_at = clock.now
    activation = activate(publisher, offer, activated_at)
    put(partner, merchant_offer(offerName="Another"))
    delete(partner)
    clock.move(days=1)
    document = verdict(auditor, offer, clock.now)
    window = {
        "activationId": activation,
        "activatedAt": utc_text(activated_at),
        "redeemableUntil": utc_text(activated_at + DAYS),
    }
    assert document == {
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


def test_invalid_verdict_has_its_reason_and_the_known_windows(
    publisher: Caller, auditor: Caller, offer: str, clock: Clock
) -> None:
    terms = dict.fromkeys(("activatedAt", "redemptionWindowDays", "redeemableUntil", "content"))
    not_activated = verdict(auditor, offer, clock.now)
    assert not_activated == not_activated | NOT_ACTIVATED | terms | {"windows": []}
    activation = activate(publisher, offer, clock.now)
    closed = verdict(auditor, offer, clock.now + DAYS)
    assert closed == closed | WINDOW_CLOSED | terms
    assert [window["activationId"] for window in closed["windows"]] == [activation]
    assert verdict(auditor, offer, clock.now, customerId="C-2")["reason"] == "not-activated"


def test_verdict_window_includes_its_start_and_excludes_its_end(
    publisher: Caller, auditor: Caller, offer: str, clock: Clock
) -> None:
    start = clock.now
    activate(publisher, offer, start)
    answers = [
        verdict(auditor, offer, at)["valid"] for at in (start - INSTANT, start, start + DAYS - INSTANT, start + DAYS)
    ]
    assert answers == [False, True, True, False]


def test_verdict_uses_facts_recorded_up_to_as_of(
    publisher: Caller, auditor: Caller, offer: str, bought: datetime, clock: Clock
) -> None:
    reported = clock.now
    activation = activate(publisher, offer, bought)
    clock.move(days=1)
    before, at_report, now, later = (
        verdict(auditor, offer, bought, as_of)
        for as_of in (reported - INSTANT, reported, None, clock.now + timedelta(minutes=5))
    )
    assert before == before | NOT_ACTIVATED | {"windows": [], "position": position(auditor) - 1}
    assert at_report == at_report | valid(activation) | {"position": position(auditor), "asOf": utc_text(reported)}
    assert now == later == at_report


def test_verdict_before_the_first_event_is_not_activated(
    publisher: Caller, auditor: Caller, offer: str, clock: Clock
) -> None:
    activate(publisher, offer, clock.now)
    document = verdict(auditor, offer, clock.now, clock.now - timedelta(days=1))
    assert document == document | NOT_ACTIVATED | {"windows": [], "position": 0, "asOf": None}


def test_verdict_records_nothing(publisher: Caller, auditor: Caller, offer: str, clock: Clock) -> None:
    before = position(auditor)
    verdict(publisher, offer, clock.now)
    assert position(auditor) == before


def test_verdict_requires_customer_offer_and_time(auditor: Caller, offer: str, clock: Clock) -> None:
    parameters = verdict_parameters(offer, clock.now)
    assert auditor.get(VERDICT_PATH, **parameters).status_code == 200
    for name in parameters:
        rest = {other: value for other, value in parameters.items() if other != name}
        for values in (rest, parameters | {name: ""}):
            assert problem(auditor.get(VERDICT_PATH, **values)) == (422, "validation-error", [f"/query/{name}"])
    for name, value in {"offerUid": "x", "transactedAt": "2026-11-22", "asOf": "now", "at": "x"}.items():
        reply = auditor.get(VERDICT_PATH, **parameters | {name: value})
        assert problem(reply) == (422, "validation-error", [f"/query/{name}"])
    assert problem(auditor.get(VERDICT_PATH, **parameters | {"offerUid": str(uuid4())})) == (404, "not-found", [])


def test_all_roles_except_partner_may_get_verdicts(
    partner: Caller, publisher: Caller, auditor: Caller, call: Call, token: MakeToken, offer: str, clock: Clock
) -> None:
    parameters = verdict_parameters(offer, clock.now)
    callers = [call(None), partner, publisher, auditor, call(token(Role.OPERATOR))]
    assert [caller.get(VERDICT_PATH, **parameters).status_code for caller in callers] == [401, 403, 200, 200, 200]


# Changed verdicts


def test_changed_verdict_on_refusal_has_its_late_fact(
    publisher: Caller, auditor: Caller, offer: str, bought: datetime, clock: Clock
) -> None:
    refused = clock.now
    assert redeem(publisher, offer, bought).status_code == 409
    clock.move(days=1)
    activation = activate(publisher, offer, bought - INSTANT)
    assert changed_verdict_items(auditor, refused, clock.now) == [
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


def test_redemption_on_late_activation_has_a_changed_verdict(
    publisher: Caller, auditor: Caller, offer: str, bought: datetime, clock: Clock
) -> None:
    activation = activate(publisher, offer, bought)
    clock.move(days=1)
    assert redeem(publisher, offer, bought).status_code == 201
    (item,) = changed_verdict_items(auditor, bought, clock.now)
    assert (item["type"], item["recordedAt"]) == ("OfferRedeemed", utc_text(clock.now))
    assert (item["before"], item["after"]) == (NOT_ACTIVATED, valid(activation))
    assert item["lateFact"]["activationId"] == activation


def test_changed_verdicts_have_newest_event_of_each_purchase(
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
    lists = [changed_verdict_items(auditor, bought, until) for until in (redeemed - INSTANT, redeemed, clock.now)]
    assert [[item["type"] for item in items] for items in lists] == [
        ["RedemptionRefused"],
        ["OfferRedeemed"],
        ["OfferRedeemed"],
    ]


def test_activation_known_in_time_changes_no_verdict(
    publisher: Caller, auditor: Caller, offer: str, bought: datetime, clock: Clock
) -> None:
    activate(publisher, offer, clock.now)
    clock.move(days=1)
    assert redeem(publisher, offer, clock.now).status_code == 201
    assert changed_verdict_items(auditor, bought, clock.now) == []


def test_refusal_that_still_holds_is_no_changed_verdict(
    publisher: Caller, auditor: Caller, offer: str, bought: datetime, clock: Clock
) -> None:
    activate(publisher, offer, bought + INSTANT)
    assert redeem(publisher, offer, bought).status_code == 409
    clock.move(days=1)
    since = clock.now
    clock.move(days=45)
    activate(publisher, offer, clock.now)
    assert changed_verdict_items(auditor, since, clock.now) == []


def test_another_customers_activation_changes_no_verdict(
    publisher: Caller, auditor: Caller, offer: str, bought: datetime, clock: Clock
) -> None:
    assert redeem(publisher, offer, bought).status_code == 409
    clock.move(days=1)
    activate(publisher, offer, bought, "C-2")
    assert changed_verdict_items(auditor, bought, clock.now) == []


def test_another_reason_is_a_changed_verdict(
    publisher: Caller, auditor: Caller, offer: str, bought: datetime, clock: Clock
) -> None:
    redeem(publisher, offer, bought)
    clock.move(days=1)
    activation = activate(publisher, offer, clock.now)
    (item,) = changed_verdict_items(auditor, bought, clock.now)
    assert (item["before"], item["after"]) == (NOT_ACTIVATED, WINDOW_CLOSED)
    assert item["lateFact"]["activationId"] == activation


def test_before_is_not_earlier_than_the_purchase(publisher: Caller, auditor: Caller, offer: str, clock: Clock) -> None:
    long_ago = clock.now
    activate(publisher, offer, clock.now)
    clock.move(days=50)
    purchased = clock.now
    clock.move(days=1)
    assert redeem(publisher, offer, purchased).status_code == 409
    activation = activate(publisher, offer, purchased)
    (item,) = changed_verdict_items(auditor, long_ago - timedelta(days=1), clock.now + INSTANT)
    assert (item["before"], item["after"]) == (WINDOW_CLOSED, valid(activation))
    assert item["lateFact"]["activationId"] == activation


def test_late_fact_is_recorded_after_from_and_up_to_to(
    publisher: Caller, auditor: Caller, offer: str, bought: datetime, clock: Clock
) -> None:
    redeem(publisher, offer, bought)
    clock.move(days=1)
    late = clock.now
    activate(publisher, offer, bought)
    spans = [(late - INSTANT, late), (late, late + DAYS), (bought, late - INSTANT), (bought - DAYS, late + DAYS)]
    assert [len(changed_verdict_items(auditor, *bounds)) for bounds in spans] == [1, 0, 0, 1]


def test_purchase_must_be_reported_by_to(
    publisher: Caller, auditor: Caller, offer: str, bought: datetime, clock: Clock
) -> None:
    activate(publisher, offer, bought)
    clock.move(days=1)
    redeem(publisher, offer, bought)
    counts = [len(changed_verdict_items(auditor, bought, until)) for until in (clock.now - INSTANT, clock.now)]
    assert counts == [0, 1]


def test_changed_verdicts_are_ordered_by_late_fact(
    publisher: Caller, auditor: Caller, offer: str, bought: datetime, clock: Clock
) -> None:
    customers = ("C-1", "C-2", "C-3")
    for customer in customers:
        redeem(publisher, offer, bought, f"T of {customer}", customer)
    for customer in reversed(customers):
        activate(publisher, offer, bought, customer)
    clock.move(days=1)
    assert transactions(changed_verdict_items(auditor, bought, clock.now)) == ["T of C-3", "T of C-2", "T of C-1"]


def test_later_pages_use_only_facts_of_the_first_page(
    publisher: Caller, auditor: Caller, offer: str, bought: datetime, clock: Clock
) -> None:
    """Also if `to` is in the future."""
    for number in (1, 2):
        redeem(publisher, offer, bought, f"T-{number}")
    activate(publisher, offer, bought)
    parameters = time_range(bought, clock.now + DAYS) | {"limit": 1}
    first = auditor.get(CHANGED_PATH, **parameters).json()
    clock.move(seconds=1)
    assert redeem(publisher, offer, bought, "T-1").status_code == 201
    redeem(publisher, offer, bought, "T-3")
    second = auditor.get(CHANGED_PATH, **parameters, cursor=first["nextCursor"]).json()
    assert transactions([*first["items"], *second["items"]]) == ["T-1", "T-2"]
    assert [item["type"] for item in second["items"]] == ["RedemptionRefused"]
    assert (second["position"], second["nextCursor"]) == (first["position"], None)


def test_purchase_reported_ahead_has_verdicts_from_its_report(
    publisher: Caller, auditor: Caller, offer: str, clock: Clock
) -> None:
    """The clocks of two machines can differ by some minutes."""
    reported = clock.now
    assert redeem(publisher, offer, reported + timedelta(minutes=4)).status_code == 409
    clock.move(minutes=1)
    activation = activate(publisher, offer, clock.now)
    for later in (0, 10):
        clock.move(minutes=later, seconds=1)
        (item,) = changed_verdict_items(auditor, reported + timedelta(seconds=1), clock.now)
        assert (item["before"], item["after"]) == (NOT_ACTIVATED, valid(activation))


def test_changed_verdicts_have_pages_in_order_of_redemptions(
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
        redeem(publisher, offer, bought, f"{name} of C-2", customer="C-2")
    clock.move(days=1)
    activate(publisher, offer, bought)
    for name in names[:3]:
        assert redeem(publisher, offer, bought, name).status_code == 201
    clock.move(days=1)
    parameters = time_range(bought, clock.now)
    for size in (1, 2, 5, 100):
        listed = [transactions(page) for page in pages(auditor, CHANGED_PATH, **parameters, limit=size)]
        assert listed == [names[start : start + size] for start in range(0, len(names), size)], size


def test_changed_verdicts_are_filtered_by_partner(
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
    other_offer = str(uid_of(partner="juniper"))
    clock.move(days=1)
    purchased = clock.now
    clock.move(days=1)
    for name, uid in (("T-1", offer), ("T-2", other_offer)):
        redeem(publisher, uid, purchased, name)
        activate(publisher, uid, purchased)
    lists = [
        transactions(changed_verdict_items(auditor, bought, clock.now + INSTANT * 9, **partner_filter))
        for partner_filter in ({}, {"partner": PARTNER}, {"partner": "juniper"})
    ]
    assert lists == [["T-1", "T-2"], ["T-1"], ["T-2"]]


def test_changed_verdicts_require_two_times(auditor: Caller, clock: Clock) -> None:
    assert changed_verdict_items(auditor, clock.now, clock.now) == []
    backwards = auditor.get(CHANGED_PATH, **time_range(clock.now, clock.now - INSTANT))
    assert problem(backwards) == (422, "validation-error", ["/query/to"])
    parameters = time_range(clock.now, clock.now)
    missing = auditor.get(CHANGED_PATH)
    assert problem(missing) == (422, "validation-error", ["/query/from", "/query/to"])
    for name, value in {"from": "x", "to": "2026-11-22", "limit": "0", "partner": "", "cursor": "x", "at": "x"}.items():
        reply = auditor.get(CHANGED_PATH, **parameters | {name: value})
        assert problem(reply) == (422, "validation-error", [f"/query/{name}"]), name


def test_cursor_of_changed_verdicts_belongs_to_its_filters(
    publisher: Caller, auditor: Caller, offer: str, bought: datetime, clock: Clock
) -> None:
    for name in ("T-1", "T-2"):
        redeem(publisher, offer, bought, name)
    activate(publisher, offer, bought)
    parameters = time_range(bought, clock.now + DAYS)
    cursor = auditor.get(CHANGED_PATH, **parameters, limit=1).json()["nextCursor"]
    assert transactions(items_of(auditor.get(CHANGED_PATH, **parameters, cursor=cursor))) == ["T-2"]
    for other in ({"partner": PARTNER}, {"to": utc_text(clock.now)}, {"from": utc_text(clock.now)}):
        reply = auditor.get(CHANGED_PATH, **parameters | other, cursor=cursor)
        assert problem(reply) == (422, "validation-error", ["/query/cursor"])


def test_only_auditors_and_operators_list_changed_verdicts(
    partner: Caller, publisher: Caller, auditor: Caller, call: Call, token: MakeToken, clock: Clock
) -> None:
    callers = [call(None), partner, publisher, auditor, call(token(Role.OPERATOR))]
    parameters = time_range(clock.now, clock.now)
    assert [caller.get(CHANGED_PATH, **parameters).status_code for caller in callers] == [401, 403, 403, 200, 200]
