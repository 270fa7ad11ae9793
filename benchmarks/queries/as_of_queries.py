"""The queries of the benchmark `as-of` that read offers: counts, pages, single offers and histories."""

import sys
from collections.abc import Iterator
from functools import partial
from itertools import chain
from typing import NamedTuple
from uuid import UUID

from api.http.as_of import NOW, AsOf, resolve
from api.http.pagination import PageCursors
from api.offers.queries import AsOfCursor, count_document, find_offer, offer_page
from api.service import Service
from benchmarks.clients.query_client import Query
from benchmarks.fill.long_history import BUSY, Past
from benchmarks.queries.as_of_offers import PARTNERS, key
from domain.store.mapper import decode_event
from domain.store.stored_events import select_stream
from domain.values import Status, to_microseconds
from projections.audit import offer_history
from projections.offers.inventory import OfferFilter

LIMIT = 100
STEP = 977
"""The distance between the offers of two rounds, so that no two rounds use neighbours."""
DAYS = {"day 1": 1 / 90, "day 22": 0.25, "day 45": 0.5, "day 67": 0.75, "day 90": 1.0}
"""The past states by name, as shares of the history."""
MIDDLE, LAST = "day 45", "day 90"
FLAT, PAGE_AT_MOST = 1.5, 3.0
"""The goals: for queries that should not depend on the time, and for a past page compared with the present one."""


class AsOfQuery(NamedTuple):
    """A query and its baseline. `baseline`: the name of what `execute_baseline` does."""

    name: str
    execute: Query
    baseline: str
    execute_baseline: Query
    at_most: float | None = None


def offer_queries(service: Service, past: Past) -> Iterator[AsOfQuery]:
    queries = _OfferQueries(service, past)
    return chain(queries.counts(), queries.pages(), queries.finds(), queries.histories())


class _OfferQueries:
    def __init__(self, service: Service, past: Past) -> None:
        self._ledger, self._past = service.ledger, past
        self._times = {name: AsOf(time=past.time_at(share)) for name, share in DAYS.items()}

    # Counts

    def counts(self) -> Iterator[AsOfQuery]:
        last = partial(self._count, self._times[LAST])
        yield AsOfQuery(f"count, {LAST}", last, "count now", partial(self._count, NOW))
        for day in (name for name in self._times if name != LAST):
            yield AsOfQuery(f"count, {day}", partial(self._count, self._times[day]), f"count, {LAST}", last, FLAT)
        inside = partial(self._count, AsOf(position=self._middle_of_largest_commit()))
        yield AsOfQuery("count, in the middle of a run", inside, f"count, {LAST}", last)

    def _count(self, as_of: AsOf, _: int) -> int:
        return sum(count_document(self._ledger, None, None, as_of)["counts"].values())

    def _middle_of_largest_commit(self) -> int:
        with self._ledger.recorder.read() as tx:
            largest = "SELECT first_position, event_count FROM commits ORDER BY event_count DESC LIMIT 1"
            first_position, event_count = tx.execute(largest).fetchone()
            return int(first_position + event_count // 2)

    # Pages

    def pages(self) -> Iterator[AsOfQuery]:
        for day in self._times:
            yield self._page_query(f"page, {day}", OfferFilter(), day)
        middle = self._offer_id_at(self._count(self._times[MIDDLE], 0) // 2)
        yield self._page_query(f"page, {MIDDLE}, in the middle", OfferFilter(), MIDDLE, middle)
        partner = PARTNERS[3]
        for name, offer_filter in {
            "paused": OfferFilter(status=Status.PAUSED),
            "of a partner": OfferFilter(partner=partner),
            "of a partner, paused": OfferFilter(partner=partner, status=Status.PAUSED),
        }.items():
            yield self._page_query(f"page, {LAST}, {name}", offer_filter, LAST)

    def _offer_id_at(self, offers: int) -> int:
        """Returns the id of the offer at a place of the inventory. Ids have gaps, so they are not places."""
        with self._ledger.recorder.read() as tx:
            last = "SELECT offer_id FROM inventory ORDER BY offer_id LIMIT 1 OFFSET ?"
            offer_id: int = tx.execute(last, (max(offers - 1, 0),)).fetchone()["offer_id"]
            return offer_id

    def _page_query(self, name: str, offer_filter: OfferFilter, day: str, after: int = 0) -> AsOfQuery:
        past, present = (partial(self._page, offer_filter, as_of, after) for as_of in (self._times[day], NOW))
        return AsOfQuery(name, past, "the same now", present, PAGE_AT_MOST)

    def _page(self, offer_filter: OfferFilter, as_of: AsOf, after: int, _: int) -> int:
        cursor = self._cursor(offer_filter, as_of, after) if after else None
        return len(offer_page(self._ledger, offer_filter, as_of, cursor, LIMIT)["items"])

    def _cursor(self, offer_filter: OfferFilter, as_of: AsOf, after: int) -> str | None:
        with self._ledger.read() as tx:
            if as_of.is_now:
                return PageCursors(self._ledger.name_in(tx), offer_filter).encode(after)
            state = resolve(self._ledger, tx, as_of)
            cursors = PageCursors(self._ledger.name_in(tx), (offer_filter, as_of))
        return cursors.encode(AsOfCursor(state.head.position, to_microseconds(state.evaluated_at), after))

    # One offer

    def finds(self) -> Iterator[AsOfQuery]:
        for name, day, number in (("an offer", LAST, None), ("the busy offer", MIDDLE, BUSY)):
            past, present = (partial(self._find, as_of, number) for as_of in (self._times[day], NOW))
            yield AsOfQuery(f"{name}, {day}", past, "the same now", present)

    def _find(self, as_of: AsOf, number: int | None, turn: int) -> int:
        with self._ledger.recorder.read() as tx:
            return int(find_offer(self._ledger, tx, self._offer_uid(turn, number), as_of) is not None)

    # History

    def histories(self) -> Iterator[AsOfQuery]:
        end = self._events_of(BUSY, 0, 0, sys.maxsize) - LIMIT
        for name, number, after in (("history of an offer", None, 0), ("end of the busy one's history", BUSY, end)):
            events = partial(self._events_of, number, after)
            yield AsOfQuery(name, partial(self._history, number, after), "reading its events", events)

    def _history(self, number: int | None, after: int, turn: int) -> int:
        with self._ledger.recorder.read() as tx:
            return len(offer_history.page(tx, self._offer_uid(turn, number), after, LIMIT).items)

    def _events_of(self, number: int | None, after: int, turn: int, limit: int = LIMIT) -> int:
        with self._ledger.recorder.read() as tx:
            stored = select_stream(tx, self._offer_uid(turn, number), gt=after, limit=limit)
            return len([decode_event(one.topic, one.state) for one in stored])

    def _offer_uid(self, turn: int, number: int | None) -> UUID:
        """Returns the uid of an offer. `number` None: another offer in each round."""
        return key(turn * STEP % self._past.offers if number is None else number).offer_uid
