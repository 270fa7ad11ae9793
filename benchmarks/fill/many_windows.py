"""Fills a ledger with many redemption windows, by commits with many activations each.

The activations are spread evenly over sixty days, so most windows of the first month have ended. One offer is
popular: it has a tenth of all windows. This offer and ten others were deleted five days ago. Of a hundred windows,
ten have a purchase, and for each hundred there is one refused purchase. Every tenth refused purchase has become
valid, because its activation was reported late.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import chain
from random import Random
from typing import Any
from uuid import UUID

from msgspec import Struct

from api.settings import Settings
from api.wiring import open_service
from benchmarks.fill.seed_activations import BENCHMARK, OFFERS, offer_uid, prepare
from domain.events import Event, OfferActivated, OfferDeleted, OfferRedeemed, RedemptionRefused, RefusalReason
from domain.ledgers.ledger import OfferLedger
from domain.store.commit import CommitContext
from domain.values import redemption_uid, to_microseconds

DAYS = 60
DELETED_AFTER_DAYS = 55
POPULAR = 0
DELETED = range(POPULAR, OFFERS, 99)
WINDOWS_PER_CUSTOMER = 4
SOON = timedelta(hours=1)

Stream = tuple[UUID, int, list[Event]]


class Clock:
    """A clock that shows the time that was set."""

    def __init__(self, now: datetime) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now


class Past(Struct, frozen=True):
    """The description of a filled ledger: the offer, the customer and the time of each activation, by its number.

    Activations are numbered in the order of their times."""

    windows: int
    began: datetime

    def offer(self, number: int) -> int:
        if self._is_popular(number):
            return POPULAR
        turn, customer = divmod(number, self._customers)
        offer = 1 + (customer * 7 + turn * 131) % (OFFERS - 1)
        return offer + 1 if offer in DELETED and self.time_of(number) >= self.deleted else offer

    def customer(self, number: int) -> str:
        """Returns the customer of an activation. No customer activates an offer twice."""
        return f"customer-{number // 10 if self._is_popular(number) else number % self._customers}"

    def time_of(self, number: int) -> datetime:
        return self.began + timedelta(days=DAYS) * (number / self.windows)

    def of_day(self, day: int) -> range:
        return range(day * self.windows // DAYS, (day + 1) * self.windows // DAYS)

    @property
    def deleted(self) -> datetime:
        return self.began + timedelta(days=DELETED_AFTER_DAYS)

    @property
    def _customers(self) -> int:
        return self.windows // WINDOWS_PER_CUSTOMER

    def _is_popular(self, number: int) -> bool:
        return number % 10 == 0 and self.time_of(number) < self.deleted


def fill(settings: Settings, windows: int, per_commit: int) -> Past:
    """Fills a ledger with about as many windows; the last one is activated at the present time."""
    past = Past(windows, datetime.now(UTC) - timedelta(days=DAYS))
    clock = Clock(past.began - SOON)
    with open_service(settings, clock) as service:
        prepare(service)
        for day in range(DAYS):
            if day == DELETED_AFTER_DAYS:
                _record(service.ledger, ((offer_uid(number), 1, [OfferDeleted()]) for number in DELETED), len(DELETED))
            clock.now = past.began + timedelta(days=day + 1)
            _record(service.ledger, chain(_activations(past, day), _late_activations(past, day)), per_commit)
            _record(service.ledger, chain(_purchases(past, day), _refused_purchases(past, day)), per_commit)
    return past


def _record(ledger: OfferLedger, streams: Iterator[Stream], per_commit: int) -> None:
    """Appends all streams in one transaction, with `per_commit` streams in each commit."""
    stream_list = list(streams)
    with ledger.recorder.write() as tx:
        for first in range(0, len(stream_list), per_commit):
            ledger.commit(tx, CommitContext(BENCHMARK), stream_list[first : first + per_commit])


# Events of a day


def _activations(past: Past, day: int) -> Iterator[Stream]:
    for number in past.of_day(day):
        event = _activated(past.customer(number), past.offer(number), past.time_of(number), 30 + number % 16)
        yield activation_uid(number), 0, [event]


def _late_activations(past: Past, day: int) -> Iterator[Stream]:
    """Yields late activations of customers whose purchases were refused the day before."""
    for number in _of_day_before(past, day, 1000):
        event = _activated(_stranger(number), past.offer(number), past.time_of(number), 30)
        yield activation_uid(past.windows + number), 0, [event]


def _purchases(past: Past, day: int) -> Iterator[Stream]:
    """Yields purchases on the activations of the day before, which are recorded by then."""
    for number in _of_day_before(past, day, 10):
        bought = past.time_of(number) + timedelta(days=1)
        event = OfferRedeemed(
            **_purchase(f"purchase-{number}", past.customer(number), past.offer(number), bought),
            activation_id=str(activation_uid(number)),
            offer_version=1,
        )
        yield redemption_uid(event.transaction_id), 0, [event]


def _refused_purchases(past: Past, day: int) -> Iterator[Stream]:
    for number in past.of_day(day)[::100]:
        bought = past.time_of(number) + SOON
        purchase = _purchase(f"refused-{number}", _stranger(number), past.offer(number), bought)
        yield (
            redemption_uid(f"refused-{number}"),
            0,
            [RedemptionRefused(**purchase, reason=RefusalReason.NOT_ACTIVATED)],
        )


def _of_day_before(past: Past, day: int, step: int) -> range:
    return past.of_day(day - 1)[::step] if day else range(0)


# Values


def activation_uid(number: int) -> UUID:
    """Returns a random id, like those of the service, so that indexes grow in the same way."""
    return UUID(int=Random(number).getrandbits(128), version=4)


def _activated(customer_id: str, offer: int, time_of: datetime, days: int) -> OfferActivated:
    return OfferActivated(
        customer_id=customer_id,
        offer_uid=str(offer_uid(offer)),
        offer_version=1,
        activated_at=to_microseconds(time_of),
        redemption_window_days=days,
        redeemable_until=to_microseconds(time_of + timedelta(days=days)),
    )


def _purchase(transaction_id: str, customer_id: str, offer: int, bought: datetime) -> dict[str, Any]:
    return {
        "transaction_id": transaction_id,
        "customer_id": customer_id,
        "offer_uid": str(offer_uid(offer)),
        "amount": "12.50",
        "currency": "USD",
        "transacted_at": to_microseconds(bought),
    }


def _stranger(number: int) -> str:
    return f"stranger-{number}"
