"""Tests of the daily feed: one CSV file per partner and UTC day of recording (contract, section 5)."""

import csv
from concurrent.futures import ThreadPoolExecutor, wait
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from io import StringIO
from typing import Any
from uuid import UUID

import httpx2
import pytest

from api.redemption import feed_routes
from api.redemption.activation_routes import ACTIVATIONS_PATH
from api.redemption.redemption_routes import REDEMPTIONS_PATH
from api.service import Service
from domain.ledgers.ledger import OfferLedger
from domain.ledgers.redemption_ledger import PendingRedemption
from domain.redemption.redemption import Purchase
from domain.values import Operation, Origin, Role, Source, utc_text
from projections.redemption import daily_feed
from tests.support.calls.merchants import MERCHANT, OFFER, delete, limit, put, uid_of
from tests.support.examples import KEY, PARTNER, body, item
from tests.support.harness import Call, Caller, Clock, MakeToken, run_batch

JSON = {"Content-Type": "application/json"}
FEED_PATH = "/api/v1/partner/redemptions"
TODAY, TOMORROW = "2026-11-22", "2026-11-23"
MIDNIGHT = datetime(2026, 11, 23, tzinfo=UTC)
INSTANT = timedelta(microseconds=1)
OTHER_PARTNER = "juniper"
HEADER = (
    "transaction_id,cardholder_id,partner_merchant_id,partner_offer_id,partner_store_id,partner_merchant_name,"
    "card_type,card_last_four,transaction_amount,transaction_timestamp\r\n"
)


@pytest.fixture
def offer(partner: Caller, publisher: Caller, service: Service, clock: Clock) -> str:
    """The id of an offer that the customer C-1 activated one second ago."""
    limit(service)
    assert put(partner).status_code == 202
    activate(publisher, str(uid_of()))
    clock.move(seconds=1)
    return str(uid_of())


@pytest.fixture
def other_partner(call: Call, token: MakeToken, service: Service, publisher: Caller) -> Caller:
    """Another partner with an offer that the customer C-1 has also activated."""
    caller = call(token(partner=OTHER_PARTNER))
    limit(service, OTHER_PARTNER)
    assert put(caller).status_code == 202
    activate(publisher, str(uid_of(partner=OTHER_PARTNER)))
    return caller


def activate(caller: Caller, offer: str, customer: str = "C-1") -> None:
    sent = body({"customerId": customer, "offerUid": offer})
    assert caller.http.post(ACTIVATIONS_PATH, content=sent, headers=JSON).status_code == 201


def redeem(caller: Caller, offer: str, at: datetime, transaction: str = "T-1", **changes: Any) -> str:
    """Returns the path of the redemption."""
    sent = {"transactionId": transaction, "customerId": "C-1", "offerUid": offer, "amount": "12.50"}
    sent |= {"currency": "USD", "transactedAt": utc_text(at), **changes}
    reply = caller.http.post(REDEMPTIONS_PATH, content=body(sent), headers=JSON)
    assert reply.status_code == 201, reply.text
    return reply.headers["Location"]


def reverse(caller: Caller, path: str, amount: str, reversal: str = "R-1") -> None:
    sent = body({"reversalId": reversal, "amount": amount})
    assert caller.http.post(f"{path}/reversals", content=sent, headers=JSON).status_code == 201


def fetch(caller: Caller, day: str = TODAY, **parameters: Any) -> str:
    reply = caller.get(FEED_PATH, date=day, **parameters)
    assert reply.status_code == 200, reply.text
    return reply.content.decode()


def rows(caller: Caller, day: str = TODAY, **parameters: Any) -> list[dict[str, str]]:
    return list(csv.DictReader(StringIO(fetch(caller, day, **parameters), newline=""), strict=True))


def amounts(caller: Caller, day: str = TODAY, **parameters: Any) -> list[tuple[str, str]]:
    """Returns the transaction and the amount of each row."""
    return [(row["transaction_id"], row["transaction_amount"]) for row in rows(caller, day, **parameters)]


def problem(reply: httpx2.Response) -> tuple[int, str, list[str]]:
    answer = reply.json()
    return reply.status_code, answer["type"], [error["pointer"] for error in answer["errors"]]


# Rows


def test_feed_has_rows_for_redemptions_and_negative_ones_for_reversals(
    publisher: Caller, partner: Caller, offer: str, service: Service, clock: Clock
) -> None:
    bought = clock.now
    path = redeem(
        publisher,
        offer,
        bought,
        partnerStoreId="S-7",
        partnerMerchantName="Juniper Noodle House",
        cardType="debit",
        cardLastFour="0042",
    )
    reverse(publisher, path, "2.5")
    redeem(publisher, offer, bought + INSTANT, "T-2", amount="3")
    clock.move(days=1)
    reply = partner.get(FEED_PATH, date=TODAY)
    pseudonym = service.pseudonyms.of(PARTNER, "C-1")
    first = f"{pseudonym},{MERCHANT},{OFFER},S-7,Juniper Noodle House,debit,0042"
    assert reply.content.decode() == (
        f"{HEADER}"
        f"T-1,{first},12.50,{utc_text(bought)}\r\n"
        f"T-1,{first},-2.5,{utc_text(bought)}\r\n"
        f"T-2,{pseudonym},{MERCHANT},{OFFER},,,,,3,{utc_text(bought + INSTANT)}\r\n"
    )
    assert reply.headers["Content-Type"] == "text/csv; charset=utf-8"
    assert reply.headers["Content-Disposition"] == f'attachment; filename="redemptions-{TODAY}.csv"'


def test_day_without_redemptions_has_only_the_header(partner: Caller, clock: Clock) -> None:
    clock.move(days=1)
    assert fetch(partner) == fetch(partner, "2025-02-28") == fetch(partner, "0001-01-01") == HEADER


def test_custom_offer_has_an_empty_merchant_column(
    publisher: Caller, partner: Caller, ledger: OfferLedger, clock: Clock
) -> None:
    run_batch(ledger, Operation.INSERT, [item()])
    activate(publisher, str(KEY.offer_uid))
    clock.move(seconds=1)
    redeem(publisher, str(KEY.offer_uid), clock.now)
    clock.move(days=1)
    (row,) = rows(partner)
    assert (row["partner_merchant_id"], row["partner_offer_id"]) == ("", KEY.external_id)


def test_feed_excludes_refusals(publisher: Caller, partner: Caller, offer: str, clock: Clock) -> None:
    sent = {"transactionId": "T-2", "customerId": "C-2", "offerUid": offer, "amount": "1", "currency": "USD"}
    refused = body(sent | {"transactedAt": utc_text(clock.now)})
    assert publisher.http.post(REDEMPTIONS_PATH, content=refused, headers=JSON).status_code == 409
    path = redeem(publisher, offer, clock.now)
    sent = {"reversalId": "R-1", "amount": "13"}
    assert publisher.http.post(f"{path}/reversals", content=body(sent), headers=JSON).status_code == 409
    clock.move(days=1)
    assert amounts(partner) == [("T-1", "12.50")]


def test_feed_has_repeated_requests_once(publisher: Caller, partner: Caller, offer: str, clock: Clock) -> None:
    for _ in range(2):
        reverse(publisher, redeem(publisher, offer, clock.now), "1")
    bought = clock.now
    clock.move(days=1)
    reverse(publisher, redeem(publisher, offer, bought), "1")
    clock.move(days=1)
    assert (amounts(partner, TODAY), amounts(partner, TOMORROW)) == ([("T-1", "12.50"), ("T-1", "-1")], [])


def test_feed_includes_deleted_offers(publisher: Caller, partner: Caller, offer: str, clock: Clock) -> None:
    delete(partner)
    redeem(publisher, offer, clock.now)
    clock.move(days=1)
    assert amounts(partner) == [("T-1", "12.50")]


def test_feed_quotes_commas_quotes_and_line_breaks(
    publisher: Caller, partner: Caller, offer: str, clock: Clock
) -> None:
    names = [
        'Juniper, "Noodles"',
        "two\nlines",
        "two\r\nlines",
        "a\rb",
        '"',
        ",",
        " spaced ",
        "Ünïcødé \u2028 \U0001f35c",
    ]
    for number, name in enumerate(names):
        members = {"partnerMerchantName": name, "partnerStoreId": name, "cardType": name}
        redeem(publisher, offer, clock.now, f"T-{number}{name}", **members)
    clock.move(days=1)
    listed = [
        (row["transaction_id"], row["partner_merchant_name"], row["partner_store_id"], row["card_type"])
        for row in rows(partner)
    ]
    assert listed == [(f"T-{number}{name}", name, name, name) for number, name in enumerate(names)]
    assert ',"Juniper, ""Noodles""",' in fetch(partner)


def test_feed_is_complete_with_any_batch_size(
    publisher: Caller, partner: Caller, offer: str, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in (3, 1, 2):
        path = redeem(publisher, offer, clock.now, f"T-{number}")
    reverse(publisher, path, "1", "R-1")
    reverse(publisher, path, "2", "R-2")
    clock.move(days=1)
    whole = fetch(partner)
    assert amounts(partner) == [("T-3", "12.50"), ("T-1", "12.50"), ("T-2", "12.50"), ("T-2", "-1"), ("T-2", "-2")]
    for read, chunk in ((1, 1), (2, 3), (3, 2), (5, 5), (6, 4)):
        monkeypatch.setattr(daily_feed, "FEED_ROWS_PER_READ", read)
        monkeypatch.setattr(feed_routes, "ROWS_PER_CHUNK", chunk)
        assert fetch(partner) == whole, (read, chunk)


# Days


def test_feed_day_is_the_utc_day_of_recording(publisher: Caller, partner: Caller, offer: str, clock: Clock) -> None:
    bought = clock.now
    recorded = [MIDNIGHT - INSTANT, MIDNIGHT, MIDNIGHT + timedelta(days=1) - INSTANT, MIDNIGHT + timedelta(days=1)]
    for number, clock.now in enumerate(recorded):
        redeem(publisher, offer, bought, f"T-{number}")
    clock.move(days=1)
    days = [[name for name, _ in amounts(partner, day)] for day in (TODAY, TOMORROW, "2026-11-24")]
    assert days == [["T-0"], ["T-1", "T-2"], ["T-3"]]


def test_later_reversal_is_in_its_own_days_feed(publisher: Caller, partner: Caller, offer: str, clock: Clock) -> None:
    bought = clock.now
    path = redeem(publisher, offer, bought)
    clock.move(days=1)
    first = fetch(partner)
    reverse(publisher, path, "12.50")
    clock.move(days=1)
    assert fetch(partner) == first
    (row,) = rows(partner, TOMORROW)
    assert (row["transaction_amount"], row["transaction_timestamp"]) == ("-12.50", utc_text(bought))


def test_feed_is_complete_as_soon_as_it_can_be_fetched(
    partner: Caller, offer: str, service: Service, clock: Clock
) -> None:
    """A redemption of the last instant of a day may not be committed yet when the day ends."""
    purchase = Purchase("T-1", "C-1", UUID(offer), Decimal("12.50"), "USD", clock.now)
    request = PendingRedemption(Origin("paula", Source.PUBLISHER), purchase)
    clock.now = MIDNIGHT - INSTANT
    with ThreadPoolExecutor(1) as pool:
        with service.ledger.recorder.write() as tx:
            service.redemptions._execute_one(tx, request)
            clock.now = MIDNIGHT
            early = pool.submit(partner.get, FEED_PATH, date=TODAY)
            wait([early], timeout=0.5)  # the request may wait for the commit, or be refused until then
        reply = early.result()
    assert amounts(partner) == [("T-1", "12.50")]
    assert reply.status_code != 200 or reply.content.decode() == fetch(partner)


def test_feed_of_unfinished_day_is_422(partner: Caller, clock: Clock) -> None:
    clock.now = MIDNIGHT - INSTANT
    for day in (TODAY, TOMORROW, "9999-12-31"):
        assert problem(partner.get(FEED_PATH, date=day)) == (422, "validation-error", ["/query/date"]), day
    clock.now = MIDNIGHT
    assert partner.get(FEED_PATH, date=TODAY).status_code == 200


def test_invalid_day_is_422(partner: Caller) -> None:
    invalid_days = [
        "",
        "yesterday",
        "20261121",
        "2026-W47-6",
        "2026-11-31",
        "2026-11-21T00:00:00Z",
        "2026-11-1",
        "26-11-21",
    ]
    for day in [*invalid_days, " 2026-11-21", "2026-11-21\n", "0000-01-01", "\u0662\u0660\u0662\u0666-11-21"]:
        assert problem(partner.get(FEED_PATH, date=day)) == (422, "validation-error", ["/query/date"]), day
    assert problem(partner.get(FEED_PATH)) == (422, "validation-error", ["/query/date"])
    unknown = partner.get(FEED_PATH, date="2026-11-21", day="2026-11-21")
    assert problem(unknown) == (422, "validation-error", ["/query/day"])


# Partners and roles


def test_partner_sees_its_own_feed_and_empty_feeds_of_others(
    publisher: Caller, partner: Caller, other_partner: Caller, offer: str, clock: Clock
) -> None:
    redeem(publisher, offer, clock.now)
    reverse(publisher, redeem(publisher, str(uid_of(partner=OTHER_PARTNER)), clock.now, "T-2"), "2")
    clock.move(days=1)
    assert amounts(partner) == amounts(partner, partner=PARTNER) == [("T-1", "12.50")]
    assert amounts(other_partner) == amounts(other_partner, partner=OTHER_PARTNER) == [("T-2", "12.50"), ("T-2", "-2")]
    assert fetch(partner, partner=OTHER_PARTNER) == fetch(other_partner, partner=PARTNER) == HEADER


def test_auditor_must_name_the_partner_of_the_feed(
    publisher: Caller, auditor: Caller, offer: str, clock: Clock
) -> None:
    redeem(publisher, offer, clock.now)
    clock.move(days=1)
    assert problem(auditor.get(FEED_PATH, date=TODAY)) == (422, "validation-error", ["/query/partner"])
    assert amounts(auditor, partner=PARTNER) == [("T-1", "12.50")]


def test_publisher_may_not_fetch_feeds(
    partner: Caller, publisher: Caller, auditor: Caller, call: Call, token: MakeToken, clock: Clock
) -> None:
    clock.move(days=1)
    callers = [call(None), publisher, partner, auditor, call(token(Role.OPERATOR))]
    statuses = [caller.get(FEED_PATH, date=TODAY, partner=PARTNER).status_code for caller in callers]
    assert statuses == [401, 403, 200, 200, 200]


def test_customer_has_a_stable_pseudonym_per_partner(
    publisher: Caller, partner: Caller, other_partner: Caller, offer: str, service: Service, clock: Clock
) -> None:
    def names(caller: Caller, day: str) -> list[str]:
        return [row["cardholder_id"] for row in rows(caller, day)]

    other_offer = str(uid_of(partner=OTHER_PARTNER))
    activate(publisher, offer, "C-2")
    for day in (1, 2):
        redeem(publisher, offer, clock.now, f"A-{day}")
        redeem(publisher, other_offer, clock.now, f"B-{day}")
        redeem(publisher, offer, clock.now, f"C-{day}", customerId="C-2")
        clock.move(days=1)
    own_names, other_names = names(partner, TODAY), names(other_partner, TODAY)
    assert (names(partner, TOMORROW), names(other_partner, TOMORROW)) == (own_names, other_names)
    assert len({*own_names, *other_names, "C-1", "C-2"}) == 5
    assert [service.pseudonyms.customer(PARTNER, name) for name in own_names] == ["C-1", "C-2"]
    assert [service.pseudonyms.customer(OTHER_PARTNER, name) for name in other_names] == ["C-1"]
