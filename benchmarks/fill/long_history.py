"""Fills a ledger with a long history of many offers, by commits to the ledger with its projections live.

The history has ninety days, and two changes of each offer on average. The first events only create offers; later,
more and more events change them. Commits have all sizes, from runs of thousands to single requests; the last commits
are single requests. One offer is busy: it changes eleven times a day.
"""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from math import sqrt
from random import Random

from msgspec import Struct

from api.service import Service
from api.settings import Settings
from api.wiring import open_service
from benchmarks.fill.many_windows import Clock, Stream
from benchmarks.queries.as_of_offers import GROUPS, PARTNERS, Offers, key
from domain.access.partner import SetPartner
from domain.store.commit import CommitContext
from domain.store.cursor import Cursor
from domain.values import Channel, Origin, Source

DAYS = 90
EVENTS_PER_OFFER = 3
SINGLE_COMMITS, SINGLES_FRACTION = 3_000, 3
"""The number of commits with one event at the end; in a small ledger, a third of all events."""
BUSY, BUSY_PER_DAY = 0, 11
"""The number of the busy offer, and its changes per day."""
ALL_CREATED = 0.98
"""The share of the history after which all offers are created."""
SIZES, SHARES = (1, 30, 500, 4_000, 20_000), (40, 25, 20, 13, 2)
"""The maximum numbers of events of commits, and the percentages of commits with that maximum."""
PER_TRANSACTION = 20_000
"""The minimum number of events of a transaction, in commits of any size."""
CACHED_KIB = 512 * 1024
"""The page cache of SQLite while the ledger is filled."""
OPERATOR = Origin("operator", Source.CLI)


class Past(Struct, frozen=True):
    """The description of a filled ledger: its number of offers and the start of its history."""

    offers: int
    began: datetime

    @property
    def events(self) -> int:
        """The number of events, without those of the busy offer and of the partners."""
        return self.offers * EVENTS_PER_OFFER

    def time_at(self, share: float) -> datetime:
        return self.began + timedelta(days=DAYS) * share


def fill(settings: Settings, offers: int) -> Past:
    """Fills a ledger. `offers` must be a multiple of the number of groups. The newest event is recorded at the
    present time."""
    past = Past(offers, datetime.now(UTC) - timedelta(days=DAYS))
    clock = Clock(past.began)
    with open_service(settings, clock) as service:
        _HistoryWriter(service, past, clock).fill()
    return past


class _HistoryWriter:
    """Writes the history; its fields have the progress."""

    def __init__(self, service: Service, past: Past, clock: Clock) -> None:
        self._ledger, self._past, self._clock = service.ledger, past, clock
        self._is_shared = service.settings.is_shared
        self._offers, self._random = Offers(past.offers), Random(past.offers)
        self._done = self._days = 0

    def fill(self) -> None:
        self._set_partners()
        singles = min(SINGLE_COMMITS, self._past.events // SINGLES_FRACTION)
        self._append(self._past.events - singles, PER_TRANSACTION, SIZES)
        self._append(self._past.events, 1, (1,))

    def _append(self, until: int, per_transaction: int, sizes: tuple[int, ...]) -> None:
        """Appends commits until `until` events are recorded."""
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
        """Appends a run of a partner on a channel, or a single request if `size` is 1."""
        progress = self._done / self._past.events
        self._clock.now = self._past.time_at(progress)
        is_new = self._offers.created < self._past.offers * min(1, sqrt(progress / ALL_CREATED)) or not self._done
        group = self._offers.pick_group(with_room=is_new)
        numbers = self._offers.create(group, size) if is_new else self._offers.sample(group, size)
        self._ledger.commit(tx, self._context(group, len(numbers)), self._changes(numbers))
        self._done += len(numbers)

    def _context(self, group: int, size: int) -> CommitContext:
        partner, channel = GROUPS[group]
        source = Source.CUSTOM if channel is Channel.CUSTOM else Source.MERCHANT if size == 1 else Source.FILE
        # A commit names its run or its request only if the ledger has a row of it; a verification reports others.
        return CommitContext(Origin(f"{partner} {'console' if size == 1 else 'feed'}", source), partner)

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
