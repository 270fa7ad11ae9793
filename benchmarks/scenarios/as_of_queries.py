"""What is asked of the offers of a ledger with a long history: as they are, and as they were?"""

import sys
from collections.abc import Iterator
from functools import partial
from itertools import chain
from typing import NamedTuple
from uuid import UUID

from api.http import pagination
from api.http.as_of import NOW, AsOf, resolve
from api.offers.queries import AsOfCursor, count_document, find_offer, offer_page
from api.service import Service
from benchmarks.clients.query_client import Ask
from benchmarks.fill.long_history import BUSY, Past
from benchmarks.scenarios.as_of_offers import PARTNERS, key
from domain.store.mapper import decode_event
from domain.values import Status, to_microseconds
from projections.audit import offer_history
from projections.offers.inventory import OfferFilter

LIMIT = 100
STEP = 977
"""From offer to offer, so that no two turns ask for neighbours."""
MOMENTS = {"day 1": 1 / 90, "day 22": 0.25, "day 45": 0.5, "day 67": 0.75, "day 90": 1.0}
"""As shares of the history."""
MIDST, LAST = "day 45", "day 90"
FLAT, PAGE_AT_MOST = 1.5, 3.0
"""What a goal is: of what does not depend on the moment, and of a page beside the one of the present."""


class Question(NamedTuple):
    """`beside`: what `floor` asks."""

    name: str
    ask: Ask
    heartbeat_write: str
    floor: Ask
    at_most: float | None = None


def offer_questions(service: Service, past: Past) -> Iterator[Question]:
    asking = _Asking(service, past)
    return chain(asking.counts(), asking.pages(), asking.finds(), asking.histories())


class _Asking:
    def __init__(self, service: Service, past: Past) -> None:
        self._ledger, self._past = service.ledger, past
        self._moments = {name: AsOf(time=past.moment(share)) for name, share in MOMENTS.items()}

    # Counts

    def counts(self) -> Iterator[Question]:
        last = partial(self._count, self._moments[LAST])
        yield Question(f"count, {LAST}", last, "count now", partial(self._count, NOW))
        for when in (name for name in self._moments if name != LAST):
            yield Question(f"count, {when}", partial(self._count, self._moments[when]), f"count, {LAST}", last, FLAT)
        inside = partial(self._count, AsOf(position=self._midst_of_largest_commit()))
        yield Question("count, in the midst of a run", inside, f"count, {LAST}", last)

    def _count(self, asked: AsOf, _: int) -> int:
        return sum(count_document(self._ledger, None, None, asked)["counts"].values())

    def _midst_of_largest_commit(self) -> int:
        with self._ledger.recorder.read() as tx:
            largest = "SELECT first_position, event_count FROM commits ORDER BY event_count DESC LIMIT 1"
            first_position, event_count = tx.execute(largest).fetchone()
            return int(first_position + event_count // 2)

    # Pages

    def pages(self) -> Iterator[Question]:
        for when in self._moments:
            yield self._page_question(f"page, {when}", OfferFilter(), when)
        midst = self._place(self._count(self._moments[MIDST], 0) // 2)
        yield self._page_question(f"page, {MIDST}, in the midst", OfferFilter(), MIDST, midst)
        partner = PARTNERS[3]
        for name, wanted in {
            "paused": OfferFilter(status=Status.PAUSED),
            "a partner's": OfferFilter(partner=partner),
            "a partner's paused": OfferFilter(partner=partner, status=Status.PAUSED),
        }.items():
            yield self._page_question(f"page, {LAST}, {name}", wanted, LAST)

    def _place(self, offers: int) -> int:
        """After so many; as they are numbered, which has gaps."""
        with self._ledger.recorder.read() as tx:
            last = "SELECT offer_id FROM inventory ORDER BY offer_id LIMIT 1 OFFSET ?"
            place: int = tx.execute(last, (max(offers - 1, 0),)).fetchone()["offer_id"]
            return place

    def _page_question(self, name: str, wanted: OfferFilter, when: str, after: int = 0) -> Question:
        then, now = (partial(self._page, wanted, asked, after) for asked in (self._moments[when], NOW))
        return Question(name, then, "the same now", now, PAGE_AT_MOST)

    def _page(self, wanted: OfferFilter, asked: AsOf, after: int, _: int) -> int:
        cursor = self._cursor(wanted, asked, after) if after else None
        return len(offer_page(self._ledger, wanted, asked, cursor, LIMIT)["items"])

    def _cursor(self, wanted: OfferFilter, asked: AsOf, after: int) -> str | None:
        if asked.is_now:
            return pagination.encode_cursor(wanted, after)
        with self._ledger.recorder.read() as tx:
            then = resolve(self._ledger, tx, asked)
        return pagination.encode_cursor(
            (wanted, asked), AsOfCursor(then.head.position, to_microseconds(then.evaluated_at), after)
        )

    # One offer

    def finds(self) -> Iterator[Question]:
        for name, when, number in (("an offer", LAST, None), ("the busy offer", MIDST, BUSY)):
            then, now = (partial(self._find, asked, number) for asked in (self._moments[when], NOW))
            yield Question(f"{name}, {when}", then, "the same now", now)

    def _find(self, asked: AsOf, number: int | None, turn: int) -> int:
        with self._ledger.recorder.read() as tx:
            return int(find_offer(self._ledger, tx, self._offer_uid(turn, number), asked) is not None)

    # History

    def histories(self) -> Iterator[Question]:
        end = self._events_of(BUSY, 0, 0, sys.maxsize) - LIMIT
        for name, number, after in (("an offer's history", None, 0), ("the busy one's, its end", BUSY, end)):
            events = partial(self._events_of, number, after)
            yield Question(name, partial(self._history, number, after), "reading its events", events)

    def _history(self, number: int | None, after: int, turn: int) -> int:
        with self._ledger.recorder.read() as tx:
            return len(offer_history.page(tx, self._offer_uid(turn, number), after, LIMIT).items)

    def _events_of(self, number: int | None, after: int, turn: int, limit: int = LIMIT) -> int:
        with self._ledger.recorder.read() as tx:
            stored = self._ledger.recorder.select_stream(tx, self._offer_uid(turn, number), gt=after, limit=limit)
            return len([decode_event(one.topic, one.state) for one in stored])

    def _offer_uid(self, turn: int, number: int | None) -> UUID:
        """None: another one each turn."""
        return key(turn * STEP % self._past.offers if number is None else number).offer_uid
