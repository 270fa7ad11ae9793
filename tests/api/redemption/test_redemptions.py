"""Tests of redemptions and reversals over HTTP (contract, section 5)."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import httpx2
import pytest

from api.redemption.redemption_routes import REDEMPTIONS_PATH
from api.service import Service
from domain.events import Event, RedemptionEvent
from domain.values import Role, redemption_uid, utc_text
from projections.maintenance.verification import verify
from tests.support.calls.merchants import delete, merchant_offer, position, put, uid_of
from tests.support.calls.publishers import INSTANT, JSON, activate, post, problem, purchase, redeem
from tests.support.examples import PARTNER, body
from tests.support.harness import Call, Caller, Clock, MakeToken

REPLAYED = "Idempotency-Replayed"
AT_ONCE = 8
INVALID_AMOUNTS = [
    *("", " ", "0", "0.0", "0.0000", "-1", "-0.5", "+1", "1e3", "1E3", "1.00000", "0.00001", "01", "00.5", ".5", "5."),
    *("1,50", "1 000", "1_000", " 1", "1 ", "1\n", "0x10", "NaN", "Infinity", "one", "\u0661", "\uff11"),
    *("1000000000000000", "1.2.3", 1, 1.5, 0, True, None, [], ["1"], {"value": "1"}),
]
INVALID_IDS = ["", "x" * 257, "a\0", 1, True, None, ["T-1"]]
INVALID_TIMES = [
    *("", "yesterday", "2026-11-22", "2026-11-22T12:00:00", "2026-13-22T12:00:00Z", "2026-11-22T24:00:00Z"),
    *("2026-11-22 12:00:00Z", "1969-12-31T23:59:59Z", "0001-01-01T00:00:00+23:59", "1795350660", 1795350660, None),
]
INVALID_WORDS = [value for value in INVALID_IDS if value is not None]
INVALID_MEMBERS: dict[str, list[Any]] = {
    "transactionId": INVALID_IDS,
    "customerId": INVALID_IDS,
    "offerUid": ["", "x", "0" * 32, f"{{{uuid4()}}}", f"urn:uuid:{uuid4()}", 1, None],
    "amount": INVALID_AMOUNTS,
    "currency": ["", "usd", "Usd", "US", "USDX", "U5D", "US$", " USD", "USD\n", "ÜSD", 840, None],
    "transactedAt": INVALID_TIMES,
    "partnerStoreId": INVALID_WORDS,
    "partnerMerchantName": INVALID_WORDS,
    "cardType": INVALID_WORDS,
    "cardLastFour": ["", "123", "12345", "12a4", "1234\n", " 1234", "\u0661234", 1234],
    "more": ["x", None],
}


@pytest.fixture
def activation_time(publisher: Caller, offer: str, clock: Clock) -> datetime:
    """The time, three days ago, at which the customer C-1 activated the offer for 45 days."""
    activated_at = clock.now
    assert activate(publisher, offer).status_code == 201
    clock.move(days=3)
    return activated_at


def redemption_path(transaction: str = "T-1") -> str:
    return f"{REDEMPTIONS_PATH}/{redemption_uid(transaction)}"


def reverse(caller: Caller, path: str, reversal: Any = "R-1", amount: Any = "12.50") -> httpx2.Response:
    return post(caller, f"{path}/reversals", reversalId=reversal, amount=amount)


def redemption_events(service: Service) -> list[Event]:
    """Returns the events of redemptions in the order of their positions."""
    with service.ledger.recorder.read() as tx:
        entries = [entry for batch in service.ledger.entries(tx) for entry in batch]
    return [entry.event for entry in entries if isinstance(entry.event, RedemptionEvent)]


def recorded_topics(service: Service) -> list[str]:
    return [event.TOPIC for event in redemption_events(service)]


def wrongly_handled(send: Callable[[Any], httpx2.Response], values: list[Any], pointer: str) -> list[Any]:
    """Returns the values that are not refused with exactly this pointer."""
    refusal = (422, "validation-error", [pointer])
    return [value for value in values if problem(send(value)) != refusal]


# Purchases


def test_redemption_has_the_terms_as_activated(
    publisher: Caller, partner: Caller, offer: str, activation_time: datetime, service: Service
) -> None:
    activation = activate(publisher, offer, activatedAt=utc_text(activation_time)).json()
    put(partner, merchant_offer(offerName="Another"))
    reply = redeem(publisher, offer, activation_time + timedelta(days=2))
    document = reply.json()
    assert reply.status_code == 201
    assert document == {
        "redemptionId": document["redemptionId"],
        "transactionId": "T-1",
        "activationId": activation["activationId"],
        "customerId": "C-1",
        "offerUid": offer,
        "offerVersion": 1,
        "amount": "12.50",
        "currency": "USD",
        "transactedAt": utc_text(activation_time + timedelta(days=2)),
    }
    assert reply.headers["Location"] == f"{REDEMPTIONS_PATH}/{document['redemptionId']}"
    assert REPLAYED not in reply.headers
    assert recorded_topics(service) == ["OfferRedeemed"]
    assert verify(service.ledger) == []


def test_redemption_commit_has_reporter_and_offers_partner(
    publisher: Caller, offer: str, activation_time: datetime, service: Service
) -> None:
    redeem(publisher, offer, activation_time)
    with service.ledger.recorder.read() as tx:
        row = tx.execute("SELECT actor, source, partner FROM commits ORDER BY commit_id DESC LIMIT 1").fetchone()
    assert tuple(row) == ("publisher-None", "publisher", PARTNER)


def test_optional_members_are_recorded_as_sent(
    publisher: Caller, offer: str, activation_time: datetime, service: Service
) -> None:
    members = {
        "transactionId": "Tø/1 \u2028" + "x" * 240,
        "partnerStoreId": "S 1",
        "partnerMerchantName": 'Juniper, "Noodles"\n& Söhne',
        "cardType": "debit",
        "cardLastFour": "0042",
    }
    assert redeem(publisher, offer, activation_time, **members).json()["transactionId"] == members["transactionId"]
    (event,) = redemption_events(service)
    values = (getattr(event, name) for name in ("transaction_id", "partner_store_id", "partner_merchant_name"))
    assert [*values, *(getattr(event, name) for name in ("card_type", "card_last_four"))] == list(members.values())


def test_amount_is_returned_as_sent(publisher: Caller, offer: str, activation_time: datetime) -> None:
    for amount in ("0.0001", "0.5", "1", "10", "12.5000", "999999999999999.9999"):
        reply = redeem(publisher, offer, activation_time, amount=amount, transactionId=f"T-{amount}")
        assert (reply.status_code, reply.json()["amount"]) == (201, amount)
        assert publisher.get(reply.headers["Location"]).json()["remaining"] == amount


def test_window_includes_its_start_and_excludes_its_end(
    publisher: Caller, offer: str, activation_time: datetime, clock: Clock
) -> None:
    end = activation_time + timedelta(days=45)
    clock.move(days=100)
    replies = [
        redeem(publisher, offer, at, transactionId=f"T-{at}")
        for at in (activation_time - INSTANT, activation_time, end - INSTANT, end)
    ]
    assert [reply.status_code for reply in replies] == [409, 201, 201, 409]
    assert [problem(reply)[1] for reply in replies[::3]] == ["redemption-window-closed"] * 2


def test_purchase_belongs_to_the_window_of_its_time(
    publisher: Caller, offer: str, activation_time: datetime, clock: Clock
) -> None:
    first = activate(publisher, offer).json()
    clock.move(days=50)
    second = activate(publisher, offer).json()
    activations = [
        redeem(publisher, offer, at, transactionId=f"T-{at}").json()["activationId"]
        for at in (clock.now, activation_time + timedelta(days=44))
    ]
    assert first["activationId"] != second["activationId"]
    assert activations == [second["activationId"], first["activationId"]]


@pytest.mark.usefixtures("activation_time")
def test_purchase_of_deleted_offer_is_redeemed_inside_the_window(
    publisher: Caller, partner: Caller, offer: str, clock: Clock
) -> None:
    put(partner, merchant_offer(offerName="Another"))
    delete(partner)
    clock.move(days=1)
    reply = redeem(publisher, offer, clock.now)
    assert (reply.status_code, reply.json()["offerVersion"]) == (201, 1)
    clock.move(days=41)
    closed = redeem(publisher, offer, clock.now, transactionId="T-2")
    assert problem(closed) == (409, "redemption-window-closed", [])


def test_times_and_uids_are_normalised(publisher: Caller, offer: str, activation_time: datetime) -> None:
    document = redeem(publisher, offer.upper(), activation_time, transactedAt="2026-11-23t01:30:01.5+02:00").json()
    assert (document["offerUid"], document["transactedAt"]) == (offer, "2026-11-22T23:30:01.500000Z")


def test_purchase_of_another_customer_is_not_activated(
    publisher: Caller, offer: str, activation_time: datetime
) -> None:
    for customer in ("C-2", "c-1", "C-1 "):
        reply = redeem(publisher, offer, activation_time, customerId=customer, transactionId=customer)
        assert problem(reply) == (409, "not-activated", []), customer


def test_purchase_of_another_offer_is_not_activated(
    publisher: Caller, partner: Caller, activation_time: datetime
) -> None:
    put(partner, offer="OFR-2")
    reply = redeem(publisher, str(uid_of(offer="OFR-2")), activation_time)
    assert problem(reply) == (409, "not-activated", [])


def test_purchase_of_unknown_offer_is_404_and_records_nothing(
    publisher: Caller, offer: str, activation_time: datetime
) -> None:
    activation = activate(publisher, offer).json()["activationId"]
    before = position(publisher)
    replies = [redeem(publisher, unknown, activation_time) for unknown in (str(uuid4()), activation)]
    assert [problem(reply) for reply in replies] == [(404, "not-found", [])] * 2
    assert position(publisher) == before


@pytest.mark.usefixtures("activation_time")
def test_purchase_time_may_be_five_minutes_ahead(publisher: Caller, offer: str, clock: Clock) -> None:
    ahead = clock.now + timedelta(minutes=5)
    too_far = redeem(publisher, offer, ahead + INSTANT)
    assert problem(too_far) == (422, "validation-error", ["/transactedAt"])
    assert publisher.get(redemption_path()).status_code == 404
    assert redeem(publisher, offer, ahead).status_code == 201


# Repetition


def test_repeated_transaction_gets_the_first_reply_forever(
    publisher: Caller, partner: Caller, offer: str, activation_time: datetime, clock: Clock, service: Service
) -> None:
    first = redeem(publisher, offer, activation_time)
    reverse(publisher, redemption_path())
    delete(partner)
    clock.move(days=400)
    repeated = redeem(publisher, offer, activation_time)
    assert (repeated.status_code, repeated.content) == (201, first.content)
    assert repeated.headers["Location"] == first.headers["Location"]
    assert repeated.headers[REPLAYED] == "true"
    assert recorded_topics(service) == ["OfferRedeemed", "RedemptionReversed"]


def test_repeated_transaction_matches_in_any_spelling(publisher: Caller, offer: str, activation_time: datetime) -> None:
    first = redeem(publisher, offer, activation_time)
    spellings: list[dict[str, Any]] = [
        {"amount": "12.5"},
        {"amount": "12.5000"},
        {"offerUid": offer.upper()},
        {"transactedAt": "2026-11-22T14:30:01+02:00"},
        {"partnerStoreId": None, "cardLastFour": None},
    ]
    for spelling in spellings:
        repeated = redeem(publisher, offer, activation_time, **spelling)
        assert (repeated.status_code, repeated.content, repeated.headers[REPLAYED]) == (201, first.content, "true"), (
            spelling
        )


def test_redeemed_transaction_with_other_members_is_422(
    publisher: Caller, partner: Caller, offer: str, activation_time: datetime, service: Service
) -> None:
    put(partner, offer="OFR-2")
    redeem(publisher, offer, activation_time)
    others: list[dict[str, Any]] = [
        {"customerId": "C-2"},
        {"offerUid": str(uid_of(offer="OFR-2"))},
        {"amount": "12.51"},
        {"currency": "EUR"},
        {"transactedAt": utc_text(activation_time + INSTANT)},
        {"partnerStoreId": "S-1"},
        {"partnerMerchantName": "Juniper"},
        {"cardType": "debit"},
        {"cardLastFour": "0042"},
    ]
    for other in others:
        reply = redeem(publisher, offer, activation_time, **other)
        assert problem(reply) == (422, "idempotency-key-reused", ["/transactionId"]), other
    assert recorded_topics(service) == ["OfferRedeemed"]


def test_concurrent_transaction_is_redeemed_once(
    call: Call, token: MakeToken, offer: str, activation_time: datetime, service: Service
) -> None:
    secret = token(Role.PUBLISHER, name="busy")
    callers = [call(secret) for _ in range(AT_ONCE)]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        replies = list(pool.map(lambda caller: redeem(caller, offer, activation_time), callers))
    assert {(reply.status_code, reply.content) for reply in replies} == {(201, replies[0].content)}
    assert [REPLAYED in reply.headers for reply in replies].count(False) == 1
    assert recorded_topics(service) == ["OfferRedeemed"]


# Refusals


def test_purchase_without_activation_is_refused_and_recorded(
    publisher: Caller, offer: str, clock: Clock, service: Service
) -> None:
    reply = redeem(publisher, offer, clock.now)
    assert problem(reply) == (409, "not-activated", [])
    assert "Location" not in reply.headers
    (event,) = redemption_events(service)
    assert (event.TOPIC, getattr(event, "reason", None)) == ("RedemptionRefused", "not-activated")
    assert verify(service.ledger) == []


def test_purchase_outside_the_windows_is_refused_and_recorded(
    publisher: Caller, offer: str, activation_time: datetime, service: Service
) -> None:
    assert problem(redeem(publisher, offer, activation_time - INSTANT)) == (409, "redemption-window-closed", [])
    (event,) = redemption_events(service)
    assert (event.TOPIC, getattr(event, "reason", None)) == ("RedemptionRefused", "redemption-window-closed")
    assert verify(service.ledger) == []


def test_repeated_refused_transaction_is_recorded_once(
    publisher: Caller, offer: str, clock: Clock, service: Service
) -> None:
    replies = [redeem(publisher, offer, clock.now) for _ in range(3)]
    assert [problem(reply) for reply in replies] == [(409, "not-activated", [])] * 3
    assert recorded_topics(service) == ["RedemptionRefused"]


def test_refused_transaction_is_redeemed_after_a_late_activation(
    publisher: Caller, offer: str, clock: Clock, service: Service
) -> None:
    bought = clock.now
    clock.move(days=2)
    assert redeem(publisher, offer, bought).status_code == 409
    activation = activate(publisher, offer, activatedAt=utc_text(bought)).json()["activationId"]
    reply = redeem(publisher, offer, bought)
    assert (reply.status_code, reply.json()["activationId"]) == (201, activation)
    assert REPLAYED not in reply.headers
    assert recorded_topics(service) == ["RedemptionRefused", "OfferRedeemed"]
    assert verify(service.ledger) == []


def test_refused_transaction_may_be_sent_with_other_members(
    publisher: Caller, offer: str, activation_time: datetime, service: Service
) -> None:
    assert redeem(publisher, offer, activation_time, customerId="C-2", amount="99").status_code == 409
    assert redeem(publisher, offer, activation_time).status_code == 201
    assert recorded_topics(service) == ["RedemptionRefused", "OfferRedeemed"]


def test_activation_reported_14_days_late_makes_purchase_redeemable(
    publisher: Caller, offer: str, clock: Clock
) -> None:
    activated_at = clock.now
    clock.move(days=14)
    assert activate(publisher, offer, activatedAt=utc_text(activated_at)).status_code == 201
    assert redeem(publisher, offer, activated_at).status_code == 201


def test_activation_reported_over_14_days_late_is_refused(publisher: Caller, offer: str, clock: Clock) -> None:
    activated_at = clock.now
    clock.move(days=14, microseconds=1)
    late = activate(publisher, offer, activatedAt=utc_text(activated_at))
    assert problem(late) == (409, "offer-not-activatable", [])
    assert problem(redeem(publisher, offer, activated_at)) == (409, "not-activated", [])


# Invalid requests


def test_invalid_purchase_is_422_with_field_pointer(
    publisher: Caller, offer: str, activation_time: datetime, service: Service
) -> None:
    def send(name: str) -> Callable[[Any], httpx2.Response]:
        return lambda value: redeem(publisher, offer, activation_time, **{name: value})

    wrong = {name: wrongly_handled(send(name), values, f"/{name}") for name, values in INVALID_MEMBERS.items()}
    assert wrong == {name: [] for name in INVALID_MEMBERS}
    assert recorded_topics(service) == []


def test_missing_purchase_members_are_422(publisher: Caller) -> None:
    problem_parts = problem(post(publisher, REDEMPTIONS_PATH))
    names = ["transactionId", "customerId", "offerUid", "amount", "currency", "transactedAt"]
    assert problem_parts == (422, "validation-error", [f"/{name}" for name in names])


def test_invalid_reversal_is_422_with_field_pointer(
    publisher: Caller, offer: str, activation_time: datetime, service: Service
) -> None:
    path = redeem(publisher, offer, activation_time).headers["Location"]
    assert wrongly_handled(lambda amount: reverse(publisher, path, amount=amount), INVALID_AMOUNTS, "/amount") == []
    assert wrongly_handled(lambda name: reverse(publisher, path, name, "1"), INVALID_IDS, "/reversalId") == []
    unknown = post(publisher, f"{path}/reversals", reversalId="R-1", amount="1", currency="USD")
    assert problem(unknown) == (422, "validation-error", ["/currency"])
    missing = post(publisher, f"{path}/reversals")
    assert problem(missing) == (422, "validation-error", ["/reversalId", "/amount"])
    assert recorded_topics(service) == ["OfferRedeemed"]


def test_query_parameter_of_redemption_is_422(
    publisher: Caller, offer: str, activation_time: datetime, service: Service
) -> None:
    path = redeem(publisher, offer, activation_time).headers["Location"]
    sent = body(purchase(offer, activation_time, transactionId="T-2"))
    replies = [
        publisher.http.post(f"{REDEMPTIONS_PATH}?dryRun=true", content=sent, headers=JSON),
        post(publisher, f"{path}/reversals?dryRun=true", reversalId="R-1", amount="1"),
        publisher.get(path, dryRun="true"),
    ]
    assert [problem(reply) for reply in replies] == [(422, "validation-error", ["/query/dryRun"])] * 3
    assert recorded_topics(service) == ["OfferRedeemed"]


def test_redemption_body_must_be_small_json(publisher: Caller) -> None:
    def statuses(content: bytes, **headers: str) -> set[int]:
        sent_headers = JSON | {name.replace("_", "-"): value for name, value in headers.items()}
        paths = (REDEMPTIONS_PATH, f"{redemption_path()}/reversals")
        return {publisher.http.post(path, content=content, headers=sent_headers).status_code for path in paths}

    assert statuses(b"{") == {400}
    assert statuses(b"[]") == {422}
    assert statuses(b'{"amount":"1","amount":"2"}') == {422}
    assert statuses(b'{"amount":"' + b"1" * 70_000 + b'"}') == {413}
    assert statuses(b"{}", Content_Type="text/plain") == {415}


# Reversals


def test_redemption_is_reversed_in_parts(
    publisher: Caller, offer: str, activation_time: datetime, service: Service
) -> None:
    redemption = redeem(publisher, offer, activation_time).json()["redemptionId"]
    replies = [
        reverse(publisher, redemption_path(), reversal, amount)
        for reversal, amount in (("R-1", "4.5"), ("R-2", "0.0001"), ("R-3", "7.9999"))
    ]
    assert [(reply.status_code, REPLAYED in reply.headers) for reply in replies] == [(201, False)] * 3
    assert [reply.json() for reply in replies] == [
        {
            "reversalId": reversal,
            "redemptionId": redemption,
            "amount": amount,
            "currency": "USD",
            "remaining": remaining,
        }
        for reversal, amount, remaining in (
            ("R-1", "4.5", "8.00"),
            ("R-2", "0.0001", "7.9999"),
            ("R-3", "7.9999", "0.0000"),
        )
    ]
    assert recorded_topics(service) == ["OfferRedeemed", *["RedemptionReversed"] * 3]
    assert verify(service.ledger) == []


def test_reversal_above_the_remaining_amount_is_409(
    publisher: Caller, offer: str, activation_time: datetime, service: Service
) -> None:
    path = redeem(publisher, offer, activation_time).headers["Location"]
    outcomes = []
    for reversal, amount in (("R-1", "12.5001"), ("R-1", "4.5"), ("R-2", "8.01"), ("R-3", "8"), ("R-4", "0.0001")):
        reply = reverse(publisher, path, reversal, amount)
        outcomes.append((reply.status_code, reply.json().get("type"), reply.json()["remaining"]))
    assert outcomes == [
        (409, "reversal-exceeds-redemption", "12.50"),
        (201, None, "8.00"),
        (409, "reversal-exceeds-redemption", "8.00"),
        (201, None, "0.00"),
        (409, "reversal-exceeds-redemption", "0.00"),
    ]
    assert recorded_topics(service) == ["OfferRedeemed", *["RedemptionReversed"] * 2]


def test_repeated_reversal_gets_the_first_reply_forever(
    publisher: Caller, offer: str, activation_time: datetime, service: Service
) -> None:
    path = redeem(publisher, offer, activation_time).headers["Location"]
    first = reverse(publisher, path, "R-1", "4.5")
    reverse(publisher, path, "R-2", "8")
    for amount in ("4.5", "4.50", "4.5000"):
        repeated = reverse(publisher, path, "R-1", amount)
        assert (repeated.status_code, repeated.content, repeated.headers[REPLAYED]) == (201, first.content, "true")
    assert recorded_topics(service) == ["OfferRedeemed", *["RedemptionReversed"] * 2]


def test_repeated_reversal_with_another_amount_is_422(publisher: Caller, offer: str, activation_time: datetime) -> None:
    path = redeem(publisher, offer, activation_time).headers["Location"]
    reverse(publisher, path, "R-1", "4.5")
    for amount in ("4.51", "1", "99"):
        reply = reverse(publisher, path, "R-1", amount)
        assert problem(reply) == (422, "idempotency-key-reused", ["/reversalId"]), amount


def test_concurrent_reversals_never_exceed_the_redemption(
    call: Call, token: MakeToken, publisher: Caller, offer: str, activation_time: datetime
) -> None:
    path = redeem(publisher, offer, activation_time, amount="3.50").headers["Location"]
    secret = token(Role.PUBLISHER, name="busy")
    callers = [call(secret) for _ in range(AT_ONCE)]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        replies = pool.map(lambda numbered: reverse(numbered[1], path, f"R-{numbered[0]}", "1"), enumerate(callers))
        assert sorted(reply.status_code for reply in replies) == [201] * 3 + [409] * (AT_ONCE - 3)
    assert publisher.get(path).json()["remaining"] == "0.50"


def test_redemption_is_reversible_after_offer_and_window_ended(
    publisher: Caller, partner: Caller, offer: str, activation_time: datetime, clock: Clock
) -> None:
    path = redeem(publisher, offer, activation_time).headers["Location"]
    delete(partner)
    clock.move(days=400)
    assert reverse(publisher, path).status_code == 201


def test_unknown_redemption_is_404(publisher: Caller, offer: str, activation_time: datetime, service: Service) -> None:
    activation = activate(publisher, offer).json()["activationId"]
    redeem(publisher, offer, activation_time, transactionId="T-9", customerId="C-2")
    unknown_ids = [offer, activation, redemption_uid("T-9"), redemption_uid("T-10"), uuid4(), "nothing", "T-9"]
    for name in unknown_ids:
        path = f"{REDEMPTIONS_PATH}/{name}"
        assert problem(reverse(publisher, path)) == (404, "not-found", []), name
        assert problem(publisher.get(path)) == (404, "not-found", []), name
    assert recorded_topics(service) == ["RedemptionRefused"]


# Reading


def test_redemption_has_its_reversals_and_remaining_amount(
    publisher: Caller, offer: str, activation_time: datetime
) -> None:
    reply = redeem(publisher, offer, activation_time)
    path = reply.headers["Location"]
    assert publisher.get(path).json() == reply.json() | {"reversals": [], "remaining": "12.50"}
    reverse(publisher, path, "R-2", "4.5")
    reverse(publisher, path, "R-1", "2")
    redemption = publisher.get(path)
    assert redemption.status_code == 200
    assert redemption.json() == reply.json() | {
        "reversals": [{"reversalId": "R-2", "amount": "4.5"}, {"reversalId": "R-1", "amount": "2"}],
        "remaining": "6.00",
    }


def test_only_publishers_redeem_and_partners_cannot_read(
    partner: Caller,
    auditor: Caller,
    publisher: Caller,
    call: Call,
    token: MakeToken,
    offer: str,
    activation_time: datetime,
) -> None:
    others = [partner, auditor, call(token(Role.OPERATOR))]
    assert [problem(redeem(caller, offer, activation_time))[:2] for caller in others] == [(403, "forbidden")] * 3
    path = redeem(publisher, offer, activation_time).headers["Location"]
    assert [problem(reverse(caller, path))[:2] for caller in others] == [(403, "forbidden")] * 3
    assert [caller.get(path).status_code for caller in [*others, publisher]] == [403, 200, 200, 200]
    anonymous = call(None)
    replies = [redeem(anonymous, offer, activation_time), reverse(anonymous, path), anonymous.get(path)]
    assert [problem(reply)[:2] for reply in replies] == [(401, "unauthorized")] * 3
