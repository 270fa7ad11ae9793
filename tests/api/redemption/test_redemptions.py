"""Purchases and reversals over the wire. (Contract, section 5.)"""

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
NO_AMOUNTS = [
    *("", " ", "0", "0.0", "0.0000", "-1", "-0.5", "+1", "1e3", "1E3", "1.00000", "0.00001", "01", "00.5", ".5", "5."),
    *("1,50", "1 000", "1_000", " 1", "1 ", "1\n", "0x10", "NaN", "Infinity", "one", "\u0661", "\uff11"),
    *("1000000000000000", "1.2.3", 1, 1.5, 0, True, None, [], ["1"], {"value": "1"}),
]
NO_IDS = ["", "x" * 257, "a\0", 1, True, None, ["T-1"]]
NO_TIMES = [
    *("", "yesterday", "2026-11-22", "2026-11-22T12:00:00", "2026-13-22T12:00:00Z", "2026-11-22T24:00:00Z"),
    *("2026-11-22 12:00:00Z", "1969-12-31T23:59:59Z", "0001-01-01T00:00:00+23:59", "1795350660", 1795350660, None),
]
NO_WORDS = [value for value in NO_IDS if value is not None]
NOT_IN_ORDER: dict[str, list[Any]] = {
    "transactionId": NO_IDS,
    "customerId": NO_IDS,
    "offerUid": ["", "x", "0" * 32, f"{{{uuid4()}}}", f"urn:uuid:{uuid4()}", 1, None],
    "amount": NO_AMOUNTS,
    "currency": ["", "usd", "Usd", "US", "USDX", "U5D", "US$", " USD", "USD\n", "ÜSD", 840, None],
    "transactedAt": NO_TIMES,
    "partnerStoreId": NO_WORDS,
    "partnerMerchantName": NO_WORDS,
    "cardType": NO_WORDS,
    "cardLastFour": ["", "123", "12345", "12a4", "1234\n", " 1234", "\u0661234", 1234],
    "more": ["x", None],
}


@pytest.fixture
def begin(publisher: Caller, offer: str, clock: Clock) -> datetime:
    """The customer C-1 has activated the offer at that time, some days ago, for 45 days."""
    began = clock.now
    assert activate(publisher, offer).status_code == 201
    clock.move(days=3)
    return began


def redemption_path(transaction: str = "T-1") -> str:
    return f"{REDEMPTIONS_PATH}/{redemption_uid(transaction)}"


def reverse(caller: Caller, path: str, reversal: Any = "R-1", amount: Any = "12.50") -> httpx2.Response:
    return post(caller, f"{path}/reversals", reversalId=reversal, amount=amount)


def redemption_events(service: Service) -> list[Event]:
    """What is recorded of transactions, in the order of the ledger."""
    with service.ledger.recorder.read() as tx:
        entries = [entry for some in service.ledger.entries(tx) for entry in some]
    return [entry.event for entry in entries if isinstance(entry.event, RedemptionEvent)]


def recorded(service: Service) -> list[str]:
    return [event.TOPIC for event in redemption_events(service)]


def judged_wrong(send: Callable[[Any], httpx2.Response], values: list[Any], place: str) -> list[Any]:
    """Those that are not refused with exactly that pointer."""
    refusal = (422, "validation-error", [place])
    return [value for value in values if problem(send(value)) != refusal]


# Purchases


def test_a_redemption_is_told_with_the_terms_as_activated(
    publisher: Caller, partner: Caller, offer: str, begin: datetime, service: Service
) -> None:
    activation = activate(publisher, offer, activatedAt=utc_text(begin)).json()
    put(partner, merchant_offer(offerName="Another"))
    reply = redeem(publisher, offer, begin + timedelta(days=2))
    told = reply.json()
    assert reply.status_code == 201
    assert told == {
        "redemptionId": told["redemptionId"],
        "transactionId": "T-1",
        "activationId": activation["activationId"],
        "customerId": "C-1",
        "offerUid": offer,
        "offerVersion": 1,
        "amount": "12.50",
        "currency": "USD",
        "transactedAt": utc_text(begin + timedelta(days=2)),
    }
    assert reply.headers["Location"] == f"{REDEMPTIONS_PATH}/{told['redemptionId']}"
    assert REPLAYED not in reply.headers
    assert recorded(service) == ["OfferRedeemed"]
    assert verify(service.ledger) == []


def test_a_redemption_is_recorded_as_its_reporters_about_the_offers_partner(
    publisher: Caller, offer: str, begin: datetime, service: Service
) -> None:
    redeem(publisher, offer, begin)
    with service.ledger.recorder.read() as tx:
        row = tx.execute("SELECT actor, source, partner FROM commits ORDER BY commit_id DESC LIMIT 1").fetchone()
    assert tuple(row) == ("publisher-None", "publisher", PARTNER)


def test_what_else_is_known_of_a_purchase_is_recorded_as_it_was_told(
    publisher: Caller, offer: str, begin: datetime, service: Service
) -> None:
    more = {
        "transactionId": "Tø/1 \u2028" + "x" * 240,
        "partnerStoreId": "S 1",
        "partnerMerchantName": 'Juniper, "Noodles"\n& Söhne',
        "cardType": "debit",
        "cardLastFour": "0042",
    }
    assert redeem(publisher, offer, begin, **more).json()["transactionId"] == more["transactionId"]
    (event,) = redemption_events(service)
    told = (getattr(event, name) for name in ("transaction_id", "partner_store_id", "partner_merchant_name"))
    assert [*told, *(getattr(event, name) for name in ("card_type", "card_last_four"))] == list(more.values())


def test_an_amount_is_told_as_it_was_sent(publisher: Caller, offer: str, begin: datetime) -> None:
    for amount in ("0.0001", "0.5", "1", "10", "12.5000", "999999999999999.9999"):
        reply = redeem(publisher, offer, begin, amount=amount, transactionId=f"T-{amount}")
        assert (reply.status_code, reply.json()["amount"]) == (201, amount)
        assert publisher.get(reply.headers["Location"]).json()["remaining"] == amount


def test_a_purchase_qualifies_from_its_windows_first_instant_until_before_its_last(
    publisher: Caller, offer: str, begin: datetime, clock: Clock
) -> None:
    end = begin + timedelta(days=45)
    clock.move(days=100)
    replies = [
        redeem(publisher, offer, at, transactionId=f"T-{at}") for at in (begin - INSTANT, begin, end - INSTANT, end)
    ]
    assert [reply.status_code for reply in replies] == [409, 201, 201, 409]
    assert [problem(reply)[1] for reply in replies[::3]] == ["redemption-window-closed"] * 2


def test_a_purchase_belongs_to_the_window_that_it_was_made_in(
    publisher: Caller, offer: str, begin: datetime, clock: Clock
) -> None:
    first = activate(publisher, offer).json()
    clock.move(days=50)
    second = activate(publisher, offer).json()
    told = [
        redeem(publisher, offer, at, transactionId=f"T-{at}").json()["activationId"]
        for at in (clock.now, begin + timedelta(days=44))
    ]
    assert first["activationId"] != second["activationId"]
    assert told == [second["activationId"], first["activationId"]]


@pytest.mark.usefixtures("begin")
def test_a_purchase_is_owed_though_its_offer_has_gone(
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


def test_times_and_uids_are_taken_in_any_spelling_and_told_in_one(
    publisher: Caller, offer: str, begin: datetime
) -> None:
    told = redeem(publisher, offer.upper(), begin, transactedAt="2026-11-23t01:30:01.5+02:00").json()
    assert (told["offerUid"], told["transactedAt"]) == (offer, "2026-11-22T23:30:01.500000Z")


def test_what_another_customer_activated_is_not_owed(publisher: Caller, offer: str, begin: datetime) -> None:
    for customer in ("C-2", "c-1", "C-1 "):
        reply = redeem(publisher, offer, begin, customerId=customer, transactionId=customer)
        assert problem(reply) == (409, "not-activated", []), customer


def test_what_was_activated_of_another_offer_is_not_owed(publisher: Caller, partner: Caller, begin: datetime) -> None:
    put(partner, offer="OFR-2")
    reply = redeem(publisher, str(uid_of(offer="OFR-2")), begin)
    assert problem(reply) == (409, "not-activated", [])


def test_a_purchase_of_an_unknown_offer_is_404_and_leaves_no_trace(
    publisher: Caller, offer: str, begin: datetime
) -> None:
    activation = activate(publisher, offer).json()["activationId"]
    before = position(publisher)
    replies = [redeem(publisher, unknown, begin) for unknown in (str(uuid4()), activation)]
    assert [problem(reply) for reply in replies] == [(404, "not-found", [])] * 2
    assert position(publisher) == before


@pytest.mark.usefixtures("begin")
def test_a_purchase_may_lie_five_minutes_ahead(publisher: Caller, offer: str, clock: Clock) -> None:
    ahead = clock.now + timedelta(minutes=5)
    too_far = redeem(publisher, offer, ahead + INSTANT)
    assert problem(too_far) == (422, "validation-error", ["/transactedAt"])
    assert publisher.get(redemption_path()).status_code == 404
    assert redeem(publisher, offer, ahead).status_code == 201


# The same again


def test_the_same_transaction_again_is_the_same_reply_for_ever(
    publisher: Caller, partner: Caller, offer: str, begin: datetime, clock: Clock, service: Service
) -> None:
    first = redeem(publisher, offer, begin)
    reverse(publisher, redemption_path())
    delete(partner)
    clock.move(days=400)
    again = redeem(publisher, offer, begin)
    assert (again.status_code, again.content) == (201, first.content)
    assert again.headers["Location"] == first.headers["Location"]
    assert again.headers[REPLAYED] == "true"
    assert recorded(service) == ["OfferRedeemed", "RedemptionReversed"]


def test_the_same_transaction_is_known_however_it_is_spelt(publisher: Caller, offer: str, begin: datetime) -> None:
    first = redeem(publisher, offer, begin)
    spellings: list[dict[str, Any]] = [
        {"amount": "12.5"},
        {"amount": "12.5000"},
        {"offerUid": offer.upper()},
        {"transactedAt": "2026-11-22T14:30:01+02:00"},
        {"partnerStoreId": None, "cardLastFour": None},
    ]
    for spelling in spellings:
        again = redeem(publisher, offer, begin, **spelling)
        assert (again.status_code, again.content, again.headers[REPLAYED]) == (201, first.content, "true"), spelling


def test_a_redeemed_transaction_with_another_member_is_422(
    publisher: Caller, partner: Caller, offer: str, begin: datetime, service: Service
) -> None:
    put(partner, offer="OFR-2")
    redeem(publisher, offer, begin)
    others: list[dict[str, Any]] = [
        {"customerId": "C-2"},
        {"offerUid": str(uid_of(offer="OFR-2"))},
        {"amount": "12.51"},
        {"currency": "EUR"},
        {"transactedAt": utc_text(begin + INSTANT)},
        {"partnerStoreId": "S-1"},
        {"partnerMerchantName": "Juniper"},
        {"cardType": "debit"},
        {"cardLastFour": "0042"},
    ]
    for other in others:
        reply = redeem(publisher, offer, begin, **other)
        assert problem(reply) == (422, "idempotency-key-reused", ["/transactionId"]), other
    assert recorded(service) == ["OfferRedeemed"]


def test_a_transaction_that_comes_from_many_at_once_is_redeemed_once(
    call: Call, token: MakeToken, offer: str, begin: datetime, service: Service
) -> None:
    secret = token(Role.PUBLISHER, name="busy")
    callers = [call(secret) for _ in range(AT_ONCE)]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        replies = list(pool.map(lambda caller: redeem(caller, offer, begin), callers))
    assert {(reply.status_code, reply.content) for reply in replies} == {(201, replies[0].content)}
    assert [REPLAYED in reply.headers for reply in replies].count(False) == 1
    assert recorded(service) == ["OfferRedeemed"]


# Refusals


def test_a_purchase_of_what_was_never_activated_is_refused_and_recorded(
    publisher: Caller, offer: str, clock: Clock, service: Service
) -> None:
    reply = redeem(publisher, offer, clock.now)
    assert problem(reply) == (409, "not-activated", [])
    assert "Location" not in reply.headers
    (event,) = redemption_events(service)
    assert (event.TOPIC, getattr(event, "reason", None)) == ("RedemptionRefused", "not-activated")
    assert verify(service.ledger) == []


def test_a_purchase_outside_the_windows_is_refused_and_recorded(
    publisher: Caller, offer: str, begin: datetime, service: Service
) -> None:
    assert problem(redeem(publisher, offer, begin - INSTANT)) == (409, "redemption-window-closed", [])
    (event,) = redemption_events(service)
    assert (event.TOPIC, getattr(event, "reason", None)) == ("RedemptionRefused", "redemption-window-closed")
    assert verify(service.ledger) == []


def test_the_same_refused_transaction_again_is_refused_again_and_recorded_once(
    publisher: Caller, offer: str, clock: Clock, service: Service
) -> None:
    replies = [redeem(publisher, offer, clock.now) for _ in range(3)]
    assert [problem(reply) for reply in replies] == [(409, "not-activated", [])] * 3
    assert recorded(service) == ["RedemptionRefused"]


def test_a_refused_transaction_is_judged_anew_when_its_activation_has_been_reported(
    publisher: Caller, offer: str, clock: Clock, service: Service
) -> None:
    bought = clock.now
    clock.move(days=2)
    assert redeem(publisher, offer, bought).status_code == 409
    activation = activate(publisher, offer, activatedAt=utc_text(bought)).json()["activationId"]
    reply = redeem(publisher, offer, bought)
    assert (reply.status_code, reply.json()["activationId"]) == (201, activation)
    assert REPLAYED not in reply.headers
    assert recorded(service) == ["RedemptionRefused", "OfferRedeemed"]
    assert verify(service.ledger) == []


def test_a_refused_transaction_may_come_again_with_other_members(
    publisher: Caller, offer: str, begin: datetime, service: Service
) -> None:
    assert redeem(publisher, offer, begin, customerId="C-2", amount="99").status_code == 409
    assert redeem(publisher, offer, begin).status_code == 201
    assert recorded(service) == ["RedemptionRefused", "OfferRedeemed"]


def test_an_activation_that_is_reported_14_days_late_still_makes_its_purchase_owed(
    publisher: Caller, offer: str, clock: Clock
) -> None:
    activated_at = clock.now
    clock.move(days=14)
    assert activate(publisher, offer, activatedAt=utc_text(activated_at)).status_code == 201
    assert redeem(publisher, offer, activated_at).status_code == 201


def test_an_activation_that_is_reported_an_instant_later_makes_nothing_owed(
    publisher: Caller, offer: str, clock: Clock
) -> None:
    activated_at = clock.now
    clock.move(days=14, microseconds=1)
    late = activate(publisher, offer, activatedAt=utc_text(activated_at))
    assert problem(late) == (409, "offer-not-activatable", [])
    assert problem(redeem(publisher, offer, activated_at)) == (409, "not-activated", [])


# What is not in order


def test_a_purchase_that_is_not_in_order_is_422_and_names_the_field(
    publisher: Caller, offer: str, begin: datetime, service: Service
) -> None:
    def send(name: str) -> Callable[[Any], httpx2.Response]:
        return lambda value: redeem(publisher, offer, begin, **{name: value})

    wrong = {name: judged_wrong(send(name), values, f"/{name}") for name, values in NOT_IN_ORDER.items()}
    assert wrong == {name: [] for name in NOT_IN_ORDER}
    assert recorded(service) == []


def test_a_purchase_must_have_all_its_members(publisher: Caller) -> None:
    told = problem(post(publisher, REDEMPTIONS_PATH))
    names = ["transactionId", "customerId", "offerUid", "amount", "currency", "transactedAt"]
    assert told == (422, "validation-error", [f"/{name}" for name in names])


def test_a_reversal_that_is_not_in_order_is_422_and_names_the_field(
    publisher: Caller, offer: str, begin: datetime, service: Service
) -> None:
    path = redeem(publisher, offer, begin).headers["Location"]
    assert judged_wrong(lambda amount: reverse(publisher, path, amount=amount), NO_AMOUNTS, "/amount") == []
    assert judged_wrong(lambda name: reverse(publisher, path, name, "1"), NO_IDS, "/reversalId") == []
    unknown = post(publisher, f"{path}/reversals", reversalId="R-1", amount="1", currency="USD")
    assert problem(unknown) == (422, "validation-error", ["/currency"])
    missing = post(publisher, f"{path}/reversals")
    assert problem(missing) == (422, "validation-error", ["/reversalId", "/amount"])
    assert recorded(service) == ["OfferRedeemed"]


def test_query_parameters_are_refused(publisher: Caller, offer: str, begin: datetime, service: Service) -> None:
    path = redeem(publisher, offer, begin).headers["Location"]
    sent = body(purchase(offer, begin, transactionId="T-2"))
    replies = [
        publisher.http.post(f"{REDEMPTIONS_PATH}?dryRun=true", content=sent, headers=JSON),
        post(publisher, f"{path}/reversals?dryRun=true", reversalId="R-1", amount="1"),
        publisher.get(path, dryRun="true"),
    ]
    assert [problem(reply) for reply in replies] == [(422, "validation-error", ["/query/dryRun"])] * 3
    assert recorded(service) == ["OfferRedeemed"]


def test_bodies_are_json_and_small(publisher: Caller) -> None:
    def statuses(content: bytes, **headers: str) -> set[int]:
        given = JSON | {name.replace("_", "-"): value for name, value in headers.items()}
        paths = (REDEMPTIONS_PATH, f"{redemption_path()}/reversals")
        return {publisher.http.post(path, content=content, headers=given).status_code for path in paths}

    assert statuses(b"{") == {400}
    assert statuses(b"[]") == {422}
    assert statuses(b'{"amount":"1","amount":"2"}') == {422}
    assert statuses(b'{"amount":"' + b"1" * 70_000 + b'"}') == {413}
    assert statuses(b"{}", Content_Type="text/plain") == {415}


# Reversals


def test_a_redemption_is_taken_back_bit_by_bit(
    publisher: Caller, offer: str, begin: datetime, service: Service
) -> None:
    redemption = redeem(publisher, offer, begin).json()["redemptionId"]
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
    assert recorded(service) == ["OfferRedeemed", *["RedemptionReversed"] * 3]
    assert verify(service.ledger) == []


def test_more_than_is_left_can_not_be_taken_back(
    publisher: Caller, offer: str, begin: datetime, service: Service
) -> None:
    path = redeem(publisher, offer, begin).headers["Location"]
    told = []
    for reversal, amount in (("R-1", "12.5001"), ("R-1", "4.5"), ("R-2", "8.01"), ("R-3", "8"), ("R-4", "0.0001")):
        reply = reverse(publisher, path, reversal, amount)
        told.append((reply.status_code, reply.json().get("type"), reply.json()["remaining"]))
    assert told == [
        (409, "reversal-exceeds-redemption", "12.50"),
        (201, None, "8.00"),
        (409, "reversal-exceeds-redemption", "8.00"),
        (201, None, "0.00"),
        (409, "reversal-exceeds-redemption", "0.00"),
    ]
    assert recorded(service) == ["OfferRedeemed", *["RedemptionReversed"] * 2]


def test_the_same_reversal_again_is_the_same_reply_for_ever(
    publisher: Caller, offer: str, begin: datetime, service: Service
) -> None:
    path = redeem(publisher, offer, begin).headers["Location"]
    first = reverse(publisher, path, "R-1", "4.5")
    reverse(publisher, path, "R-2", "8")
    for spelt in ("4.5", "4.50", "4.5000"):
        again = reverse(publisher, path, "R-1", spelt)
        assert (again.status_code, again.content, again.headers[REPLAYED]) == (201, first.content, "true")
    assert recorded(service) == ["OfferRedeemed", *["RedemptionReversed"] * 2]


def test_the_same_reversal_with_another_amount_is_422(publisher: Caller, offer: str, begin: datetime) -> None:
    path = redeem(publisher, offer, begin).headers["Location"]
    reverse(publisher, path, "R-1", "4.5")
    for amount in ("4.51", "1", "99"):
        reply = reverse(publisher, path, "R-1", amount)
        assert problem(reply) == (422, "idempotency-key-reused", ["/reversalId"]), amount


def test_reversals_that_come_at_once_take_back_no_more_than_there_is(
    call: Call, token: MakeToken, publisher: Caller, offer: str, begin: datetime
) -> None:
    path = redeem(publisher, offer, begin, amount="3.50").headers["Location"]
    secret = token(Role.PUBLISHER, name="busy")
    callers = [call(secret) for _ in range(AT_ONCE)]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        replies = pool.map(lambda told: reverse(told[1], path, f"R-{told[0]}", "1"), enumerate(callers))
        assert sorted(reply.status_code for reply in replies) == [201] * 3 + [409] * (AT_ONCE - 3)
    assert publisher.get(path).json()["remaining"] == "0.50"


def test_what_was_redeemed_can_be_taken_back_though_offer_and_window_have_gone(
    publisher: Caller, partner: Caller, offer: str, begin: datetime, clock: Clock
) -> None:
    path = redeem(publisher, offer, begin).headers["Location"]
    delete(partner)
    clock.move(days=400)
    assert reverse(publisher, path).status_code == 201


def test_what_is_no_redemption_is_404(publisher: Caller, offer: str, begin: datetime, service: Service) -> None:
    activation = activate(publisher, offer).json()["activationId"]
    redeem(publisher, offer, begin, transactionId="T-9", customerId="C-2")
    known = [offer, activation, redemption_uid("T-9"), redemption_uid("T-10"), uuid4(), "nothing", "T-9"]
    for name in known:
        path = f"{REDEMPTIONS_PATH}/{name}"
        assert problem(reverse(publisher, path)) == (404, "not-found", []), name
        assert problem(publisher.get(path)) == (404, "not-found", []), name
    assert recorded(service) == ["RedemptionRefused"]


# Reading


def test_a_redemption_is_shown_with_what_was_taken_back_of_it(publisher: Caller, offer: str, begin: datetime) -> None:
    reply = redeem(publisher, offer, begin)
    path = reply.headers["Location"]
    assert publisher.get(path).json() == reply.json() | {"reversals": [], "remaining": "12.50"}
    reverse(publisher, path, "R-2", "4.5")
    reverse(publisher, path, "R-1", "2")
    told = publisher.get(path)
    assert told.status_code == 200
    assert told.json() == reply.json() | {
        "reversals": [{"reversalId": "R-2", "amount": "4.5"}, {"reversalId": "R-1", "amount": "2"}],
        "remaining": "6.00",
    }


def test_only_publishers_report_and_no_partner_reads(
    partner: Caller, auditor: Caller, publisher: Caller, call: Call, token: MakeToken, offer: str, begin: datetime
) -> None:
    others = [partner, auditor, call(token(Role.OPERATOR))]
    assert [problem(redeem(caller, offer, begin))[:2] for caller in others] == [(403, "forbidden")] * 3
    path = redeem(publisher, offer, begin).headers["Location"]
    assert [problem(reverse(caller, path))[:2] for caller in others] == [(403, "forbidden")] * 3
    assert [caller.get(path).status_code for caller in [*others, publisher]] == [403, 200, 200, 200]
    nobody = call(None)
    replies = [redeem(nobody, offer, begin), reverse(nobody, path), nobody.get(path)]
    assert [problem(reply)[:2] for reply in replies] == [(401, "unauthorized")] * 3
