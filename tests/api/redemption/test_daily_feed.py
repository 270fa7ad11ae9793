"""What a partner fetches of the purchases on its offers: a CSV file for each UTC day of recording. (Contract, section 5.)"""

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
OTHER = "juniper"
HEADER = (
    "transaction_id,cardholder_id,partner_merchant_id,partner_offer_id,partner_store_id,partner_merchant_name,"
    "card_type,card_last_four,transaction_amount,transaction_timestamp\r\n"
)


@pytest.fixture
def offer(partner: Caller, publisher: Caller, service: Service, clock: Clock) -> str:
    """An offer that the customer C-1 has activated a second ago."""
    limit(service)
    assert put(partner).status_code == 202
    activate(publisher, str(uid_of()))
    clock.move(seconds=1)
    return str(uid_of())


@pytest.fixture
def other(call: Call, token: MakeToken, service: Service, publisher: Caller) -> Caller:
    """Another partner, with an offer that the customer C-1 has activated too."""
    caller = call(token(partner=OTHER))
    limit(service, OTHER)
    assert put(caller).status_code == 202
    activate(publisher, str(uid_of(partner=OTHER)))
    return caller


def activate(caller: Caller, offer: str, customer: str = "C-1") -> None:
    sent = body({"customerId": customer, "offerUid": offer})
    assert caller.http.post(ACTIVATIONS_PATH, content=sent, headers=JSON).status_code == 201


def redeem(caller: Caller, offer: str, at: datetime, transaction: str = "T-1", **changes: Any) -> str:
    """Answers the redemption's path."""
    sent = {"transactionId": transaction, "customerId": "C-1", "offerUid": offer, "amount": "12.50"}
    sent |= {"currency": "USD", "transactedAt": utc_text(at), **changes}
    reply = caller.http.post(REDEMPTIONS_PATH, content=body(sent), headers=JSON)
    assert reply.status_code == 201, reply.text
    return reply.headers["Location"]


def reverse(caller: Caller, path: str, amount: str, reversal: str = "R-1") -> None:
    sent = body({"reversalId": reversal, "amount": amount})
    assert caller.http.post(f"{path}/reversals", content=sent, headers=JSON).status_code == 201


def fetch(caller: Caller, day: str = TODAY, **more: Any) -> str:
    reply = caller.get(FEED_PATH, date=day, **more)
    assert reply.status_code == 200, reply.text
    return reply.content.decode()


def rows(caller: Caller, day: str = TODAY, **more: Any) -> list[dict[str, str]]:
    return list(csv.DictReader(StringIO(fetch(caller, day, **more), newline=""), strict=True))


def told(caller: Caller, day: str = TODAY, **more: Any) -> list[tuple[str, str]]:
    """Of each row, its transaction and its amount."""
    return [(row["transaction_id"], row["transaction_amount"]) for row in rows(caller, day, **more)]


def problem(reply: httpx2.Response) -> tuple[int, str, list[str]]:
    answer = reply.json()
    return reply.status_code, answer["type"], [error["pointer"] for error in answer["errors"]]


# What is in it


def test_the_feed_has_a_row_for_each_redemption_and_a_negative_one_for_each_reversal(
    publisher: Caller, partner: Caller, offer: str, service: Service, clock: Clock
) -> None:
    bought = clock.now
    one = redeem(
        publisher,
        offer,
        bought,
        partnerStoreId="S-7",
        partnerMerchantName="Juniper Noodle House",
        cardType="debit",
        cardLastFour="0042",
    )
    reverse(publisher, one, "2.5")
    redeem(publisher, offer, bought + INSTANT, "T-2", amount="3")
    clock.move(days=1)
    reply = partner.get(FEED_PATH, date=TODAY)
    who = service.pseudonyms.of(PARTNER, "C-1")
    first = f"{who},{MERCHANT},{OFFER},S-7,Juniper Noodle House,debit,0042"
    assert reply.content.decode() == (
        f"{HEADER}"
        f"T-1,{first},12.50,{utc_text(bought)}\r\n"
        f"T-1,{first},-2.5,{utc_text(bought)}\r\n"
        f"T-2,{who},{MERCHANT},{OFFER},,,,,3,{utc_text(bought + INSTANT)}\r\n"
    )
    assert reply.headers["Content-Type"] == "text/csv; charset=utf-8"
    assert reply.headers["Content-Disposition"] == f'attachment; filename="redemptions-{TODAY}.csv"'


def test_a_day_without_redemptions_has_a_header(partner: Caller, clock: Clock) -> None:
    clock.move(days=1)
    assert fetch(partner) == fetch(partner, "2025-02-28") == fetch(partner, "0001-01-01") == HEADER


def test_an_offer_of_no_merchant_has_an_empty_column(
    publisher: Caller, partner: Caller, ledger: OfferLedger, clock: Clock
) -> None:
    run_batch(ledger, Operation.INSERT, [item()])
    activate(publisher, str(KEY.offer_uid))
    clock.move(seconds=1)
    redeem(publisher, str(KEY.offer_uid), clock.now)
    clock.move(days=1)
    (row,) = rows(partner)
    assert (row["partner_merchant_id"], row["partner_offer_id"]) == ("", KEY.external_id)


def test_what_was_refused_is_not_in_it(publisher: Caller, partner: Caller, offer: str, clock: Clock) -> None:
    sent = {"transactionId": "T-2", "customerId": "C-2", "offerUid": offer, "amount": "1", "currency": "USD"}
    refused = body(sent | {"transactedAt": utc_text(clock.now)})
    assert publisher.http.post(REDEMPTIONS_PATH, content=refused, headers=JSON).status_code == 409
    path = redeem(publisher, offer, clock.now)
    sent = {"reversalId": "R-1", "amount": "13"}
    assert publisher.http.post(f"{path}/reversals", content=body(sent), headers=JSON).status_code == 409
    clock.move(days=1)
    assert told(partner) == [("T-1", "12.50")]


def test_what_came_again_is_in_it_once(publisher: Caller, partner: Caller, offer: str, clock: Clock) -> None:
    for _ in range(2):
        reverse(publisher, redeem(publisher, offer, clock.now), "1")
    bought = clock.now
    clock.move(days=1)
    reverse(publisher, redeem(publisher, offer, bought), "1")
    clock.move(days=1)
    assert (told(partner, TODAY), told(partner, TOMORROW)) == ([("T-1", "12.50"), ("T-1", "-1")], [])


def test_an_offer_that_has_gone_is_in_it(publisher: Caller, partner: Caller, offer: str, clock: Clock) -> None:
    delete(partner)
    redeem(publisher, offer, clock.now)
    clock.move(days=1)
    assert told(partner) == [("T-1", "12.50")]


def test_values_with_commas_quotes_and_line_ends_come_out_as_they_were_told(
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
        more = {"partnerMerchantName": name, "partnerStoreId": name, "cardType": name}
        redeem(publisher, offer, clock.now, f"T-{number}{name}", **more)
    clock.move(days=1)
    found = [
        (row["transaction_id"], row["partner_merchant_name"], row["partner_store_id"], row["card_type"])
        for row in rows(partner)
    ]
    assert found == [(f"T-{number}{name}", name, name, name) for number, name in enumerate(names)]
    assert ',"Juniper, ""Noodles""",' in fetch(partner)


def test_a_feed_of_many_rows_is_read_bit_by_bit_and_complete(
    publisher: Caller, partner: Caller, offer: str, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in (3, 1, 2):
        path = redeem(publisher, offer, clock.now, f"T-{number}")
    reverse(publisher, path, "1", "R-1")
    reverse(publisher, path, "2", "R-2")
    clock.move(days=1)
    whole = fetch(partner)
    assert told(partner) == [("T-3", "12.50"), ("T-1", "12.50"), ("T-2", "12.50"), ("T-2", "-1"), ("T-2", "-2")]
    for read, chunk in ((1, 1), (2, 3), (3, 2), (5, 5), (6, 4)):
        monkeypatch.setattr(daily_feed, "FEED_ROWS_PER_READ", read)
        monkeypatch.setattr(feed_routes, "ROWS_PER_CHUNK", chunk)
        assert fetch(partner) == whole, (read, chunk)


# Of which day


def test_a_day_is_one_of_recording_in_utc_from_its_first_instant_to_its_last(
    publisher: Caller, partner: Caller, offer: str, clock: Clock
) -> None:
    bought = clock.now
    recorded = [MIDNIGHT - INSTANT, MIDNIGHT, MIDNIGHT + timedelta(days=1) - INSTANT, MIDNIGHT + timedelta(days=1)]
    for number, clock.now in enumerate(recorded):
        redeem(publisher, offer, bought, f"T-{number}")
    clock.move(days=1)
    days = [[name for name, _ in told(partner, day)] for day in (TODAY, TOMORROW, "2026-11-24")]
    assert days == [["T-0"], ["T-1", "T-2"], ["T-3"]]


def test_what_is_taken_back_later_is_in_the_feed_of_that_day_with_the_time_of_its_purchase(
    publisher: Caller, partner: Caller, offer: str, clock: Clock
) -> None:
    bought = clock.now
    path = redeem(publisher, offer, bought)
    clock.move(days=1)
    first = fetch(partner)
    reverse(publisher, path, "12.50")
    clock.move(days=1)
    assert fetch(partner) == first
    (row,) = rows(partner, TOMORROW)
    assert (row["transaction_amount"], row["transaction_timestamp"]) == ("-12.50", utc_text(bought))


def test_a_feed_is_complete_from_the_first_time_on_that_it_can_be_fetched(
    partner: Caller, offer: str, service: Service, clock: Clock
) -> None:
    """What was recorded in the last instant of a day may still be on its way to the disk when the day is over."""
    purchase = Purchase("T-1", "C-1", UUID(offer), Decimal("12.50"), "USD", clock.now)
    request = PendingRedemption(Origin("paula", Source.PUBLISHER), purchase)
    clock.now = MIDNIGHT - INSTANT
    with ThreadPoolExecutor(1) as pool:
        with service.ledger.recorder.write() as tx:
            service.redemptions._settle(tx, request)
            clock.now = MIDNIGHT
            early = pool.submit(partner.get, FEED_PATH, date=TODAY)
            wait([early], timeout=0.5)  # it may also wait for what is being written, or be refused for a while
        reply = early.result()
    assert told(partner) == [("T-1", "12.50")]
    assert reply.status_code != 200 or reply.content.decode() == fetch(partner)


def test_a_day_that_is_not_over_can_not_be_fetched(partner: Caller, clock: Clock) -> None:
    clock.now = MIDNIGHT - INSTANT
    for day in (TODAY, TOMORROW, "9999-12-31"):
        assert problem(partner.get(FEED_PATH, date=day)) == (422, "validation-error", ["/query/date"]), day
    clock.now = MIDNIGHT
    assert partner.get(FEED_PATH, date=TODAY).status_code == 200


def test_a_day_that_is_not_in_order_is_422(partner: Caller) -> None:
    no_days = ["", "yesterday", "20261121", "2026-W47-6", "2026-11-31", "2026-11-21T00:00:00Z", "2026-11-1", "26-11-21"]
    for day in [*no_days, " 2026-11-21", "2026-11-21\n", "0000-01-01", "\u0662\u0660\u0662\u0666-11-21"]:
        assert problem(partner.get(FEED_PATH, date=day)) == (422, "validation-error", ["/query/date"]), day
    assert problem(partner.get(FEED_PATH)) == (422, "validation-error", ["/query/date"])
    unknown = partner.get(FEED_PATH, date="2026-11-21", day="2026-11-21")
    assert problem(unknown) == (422, "validation-error", ["/query/day"])


# Whose


def test_a_partner_sees_its_own_feed_and_of_another_one_an_empty_one(
    publisher: Caller, partner: Caller, other: Caller, offer: str, clock: Clock
) -> None:
    redeem(publisher, offer, clock.now)
    reverse(publisher, redeem(publisher, str(uid_of(partner=OTHER)), clock.now, "T-2"), "2")
    clock.move(days=1)
    assert told(partner) == told(partner, partner=PARTNER) == [("T-1", "12.50")]
    assert told(other) == told(other, partner=OTHER) == [("T-2", "12.50"), ("T-2", "-2")]
    assert fetch(partner, partner=OTHER) == fetch(other, partner=PARTNER) == HEADER


def test_an_auditor_says_whose_feed_it_wants(publisher: Caller, auditor: Caller, offer: str, clock: Clock) -> None:
    redeem(publisher, offer, clock.now)
    clock.move(days=1)
    assert problem(auditor.get(FEED_PATH, date=TODAY)) == (422, "validation-error", ["/query/partner"])
    assert told(auditor, partner=PARTNER) == [("T-1", "12.50")]
    assert fetch(auditor, partner="nobody") == HEADER


def test_publishers_do_not_fetch_feeds(
    partner: Caller, publisher: Caller, auditor: Caller, call: Call, token: MakeToken, clock: Clock
) -> None:
    clock.move(days=1)
    callers = [call(None), publisher, partner, auditor, call(token(Role.OPERATOR))]
    statuses = [caller.get(FEED_PATH, date=TODAY, partner=PARTNER).status_code for caller in callers]
    assert statuses == [401, 403, 200, 200, 200]


def test_each_partner_knows_a_customer_by_another_name_for_good(
    publisher: Caller, partner: Caller, other: Caller, offer: str, service: Service, clock: Clock
) -> None:
    def names(caller: Caller, day: str) -> list[str]:
        return [row["cardholder_id"] for row in rows(caller, day)]

    theirs = str(uid_of(partner=OTHER))
    activate(publisher, offer, "C-2")
    for day in (1, 2):
        redeem(publisher, offer, clock.now, f"A-{day}")
        redeem(publisher, theirs, clock.now, f"B-{day}")
        redeem(publisher, offer, clock.now, f"C-{day}", customerId="C-2")
        clock.move(days=1)
    here, there = names(partner, TODAY), names(other, TODAY)
    assert (names(partner, TOMORROW), names(other, TOMORROW)) == (here, there)
    assert len({*here, *there, "C-1", "C-2"}) == 5
    assert [service.pseudonyms.customer(PARTNER, name) for name in here] == ["C-1", "C-2"]
    assert [service.pseudonyms.customer(OTHER, name) for name in there] == ["C-1"]
