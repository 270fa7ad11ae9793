"""A ledger with a long history of very many offers, made quickly: straight through the ledger, with its projections live.

Ninety days, two changes of each offer on average. It begins with creations only; then more and more events are changes of what
is there. Commits are of all sizes, from runs of thousands to single requests, and the last ones are single. One offer is busy:
it is changed eleven times a day.
"""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from math import sqrt
from random import Random
from uuid import UUID

from msgspec import Struct

from api.service import Service
from api.settings import Settings
from api.wiring import open_service
from benchmarks.fill.many_windows import Clock, Stream
from benchmarks.scenarios.as_of_offers import GROUPS, PARTNERS, Offers, key
from domain.access.partner import SetPartner
from domain.store.commit import CommitContext
from domain.store.cursor import Cursor
from domain.values import Channel, Origin, Source

DAYS = 90
EVENTS_PER_OFFER = 3
SINGLES, SINGLES_SHARE = 3_000, 3
"""Commits of one event each, at the end: so many, or every third event of a small ledger."""
BUSY, BUSY_PER_DAY = 0, 11
"""The busy offer, and its changes."""
ALL_CREATED = 0.98
"""At which share of the history all offers are there."""
SIZES, SHARES = (1, 30, 500, 4_000, 20_000), (40, 25, 20, 13, 2)
"""Of commits: events at most, and how many of a hundred have them."""
PER_TRANSACTION = 20_000
"""Events at least, in whatever commits."""
CACHED_KIB = 512 * 1024
"""By SQLite, meanwhile."""
OPERATOR = Origin("operator", Source.CLI)


class Past(Struct, frozen=True):
    """What a ledger was filled with."""

    offers: int
    began: datetime

    @property
    def events(self) -> int:
        """Without those of the busy offer, and the partners' own."""
        return self.offers * EVENTS_PER_OFFER

    def moment(self, share: float) -> datetime:
        return self.began + timedelta(days=DAYS) * share


def fill(settings: Settings, offers: int) -> Past:
    """The newest event was recorded just now. As many offers as is a multiple of the groups."""
    past = Past(offers, datetime.now(UTC) - timedelta(days=DAYS))
    clock = Clock(past.began)
    with open_service(settings, clock) as service:
        _Filling(service, past, clock).fill()
    return past


class _Filling:
    """How far it is."""

    def __init__(self, service: Service, past: Past, clock: Clock) -> None:
        self._ledger, self._past, self._clock = service.ledger, past, clock
        self._is_shared = service.settings.is_shared
        self._offers, self._random = Offers(past.offers), Random(past.offers)
        self._done = self._days = 0

    def fill(self) -> None:
        self._set_partners()
        singles = min(SINGLES, self._past.events // SINGLES_SHARE)
        self._go_on(self._past.events - singles, PER_TRANSACTION, SIZES)
        self._go_on(self._past.events, 1, (1,))

    def _go_on(self, until: int, per_transaction: int, sizes: tuple[int, ...]) -> None:
        """Until so many events are recorded."""
        while self._done < until:
            following = min(self._done + per_transaction, until)
            with self._ledger.recorder.write() as tx:
                if not self._is_shared:
                    tx.execute(f"PRAGMA cache_size = -{CACHED_KIB}")
                while self._done < following:
                    size = self._random.choices(sizes, SHARES[: len(sizes)])[0]
                    self._commit(tx, min(size, until - self._done))
            while self._days < DAYS * self._done // self._past.events:
                self._end_day()

    def _commit(self, tx: Cursor, size: int) -> None:
        """A run of a partner on a channel, or a request if it is of one event."""
        progress = self._done / self._past.events
        self._clock.now = self._past.moment(progress)
        is_new = self._offers.created < self._past.offers * min(1, sqrt(progress / ALL_CREATED)) or not self._done
        group = self._offers.pick_group(with_room=is_new)
        numbers = self._offers.new_of(group, size) if is_new else self._offers.some_of(group, size)
        self._ledger.commit(tx, self._context(group, len(numbers)), self._changes(numbers))
        self._done += len(numbers)

    def _context(self, group: int, size: int) -> CommitContext:
        partner, channel = GROUPS[group]
        source = Source.CUSTOM if channel is Channel.CUSTOM else Source.MERCHANT if size == 1 else Source.FILE
        uid = UUID(int=self._random.getrandbits(128), version=4)
        if size == 1:
            return CommitContext(Origin(f"{partner} console", source), partner, trace_id=uid.hex)
        return CommitContext(Origin(f"{partner} feed", source), partner, run_id=uid)

    def _changes(self, numbers: Iterable[int]) -> Iterator[Stream]:
        for number in numbers:
            version, event = self._offers.change(number)
            yield key(number).offer_uid, version, [event]

    def _end_day(self) -> None:
        self._days += 1
        with self._ledger.recorder.write() as tx:
            for _ in range(BUSY_PER_DAY):
                self._ledger.commit(tx, self._context(BUSY, 1), self._changes([BUSY]))
        if self._days == DAYS // 2:
            self._set_partners(rps=20)

    def _set_partners(self, rps: int = 10) -> None:
        for partner in PARTNERS:
            self._ledger.handle(SetPartner(partner, rps=rps), OPERATOR)
