"""What is asked of the offers of a ledger with a long history: as they are, and as they were?

Each question has a floor, which takes turns with it: mostly the same about the present.
"""

import sys
from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple
from uuid import UUID

from api import cursors
from api.as_of import PRESENT, Asked
from api.offer_pages import AsOfPlace, count_document, find_offer, offer_page, then_of
from api.wiring import Service
from benchmarks.as_of_fill import BUSY, Past
from benchmarks.as_of_offers import PARTNERS, key
from domain.store.mapper import decode_event
from domain.values import Status, to_microseconds
from projections import history
from projections.inventory import OfferFilter

LIMIT = 100
STEP = 977
"""From offer to offer, so that no two turns ask for neighbours."""
FIRST_DAY = 1 / 90
MOMENTS = {"first day": FIRST_DAY, "day 22": 0.25, "day 45": 0.5, "day 67": 0.75, "day 90": 1.0}
"""As shares of the history."""

Ask = Callable[[int], int]
"""Answers how many items were found; turn after turn something else is asked for, where there is something else."""


class Question(NamedTuple):
    name: str
    ask: Ask
    floor: Ask


class Section(NamedTuple):
    name: str
    floor: str
    questions: list[Question]


class OfferQuestions:
    """Those about offers to a ledger."""

    def __init__(self, service: Service, past: Past) -> None:
        self._ledger, self._past = service.ledger, past
        self._moments = {name: Asked(as_of=past.moment(share)) for name, share in MOMENTS.items()}

    def __iter__(self) -> Iterator[Section]:
        yield Section("counts by state", "of all, now", list(self._counts()))
        yield Section("a page of the inventory", "the same page now", list(self._pages()))
        yield Section("one offer", "as it is now", list(self._finds()))
        yield Section("the history of one offer", "reading its events", list(self._histories()))

    # Counts

    def _counts(self) -> Iterator[Question]:
        floor = partial(self._count, PRESENT, None)
        for name, partner in (("all", None), ("a partner's", PARTNERS[0])):
            for when, asked in ({"now": PRESENT} | self._moments).items():
                yield Question(f"{name}, {when}", partial(self._count, asked, partner), floor)
        first_position, event_count = self._largest_commit()
        inside = Asked(position=first_position + event_count // 2)
        yield Question(f"all, {event_count // 2:,} events into a run", partial(self._count, inside, None), floor)

    def _count(self, asked: Asked, partner: str | None, _: int) -> int:
        return sum(count_document(self._ledger, partner, None, asked)["counts"].values())

    def _largest_commit(self) -> tuple[int, int]:
        """Its first position, and how many events it has."""
        with self._ledger.recorder.reading() as tx:
            largest = "SELECT first_position, event_count FROM commits ORDER BY event_count DESC LIMIT 1"
            first_position, event_count = tx.execute(largest).fetchone()
            return first_position, event_count

    # Pages

    def _pages(self) -> Iterator[Question]:
        paused, of_partner = OfferFilter(status=Status.PAUSED), OfferFilter(partner=PARTNERS[3])
        both = OfferFilter(partner=PARTNERS[3], status=Status.PAUSED)
        filters = {"all": OfferFilter(), "paused": paused, "a partner's": of_partner, "a partner's paused": both}
        for name, wanted in filters.items():
            for when, asked in self._moments.items():
                yield self._page_question(f"{name}, {when}", wanted, asked, 0)
                if name == "all":
                    there = self._count(asked, None, 0)
                    yield self._page_question("  in the midst of them", wanted, asked, self._place(there // 2))
                    yield self._page_question("  the last page", wanted, asked, self._place(there - LIMIT // 2))

    def _place(self, offers: int) -> int:
        """After so many; as they are numbered, which has gaps."""
        with self._ledger.recorder.reading() as tx:
            last = "SELECT offer_id FROM inventory ORDER BY offer_id LIMIT 1 OFFSET ?"
            place: int = tx.execute(last, (max(offers - 1, 0),)).fetchone()["offer_id"]
            return place

    def _page_question(self, name: str, wanted: OfferFilter, asked: Asked, after: int) -> Question:
        return Question(name, partial(self._page, wanted, asked, after), partial(self._page, wanted, PRESENT, after))

    def _page(self, wanted: OfferFilter, asked: Asked, after: int, _: int) -> int:
        cursor = self._cursor(wanted, asked, after) if after else None
        return len(offer_page(self._ledger, wanted, asked, cursor, LIMIT)["items"])

    def _cursor(self, wanted: OfferFilter, asked: Asked, after: int) -> str | None:
        if asked == PRESENT:
            return cursors.encode(wanted, after)
        with self._ledger.recorder.reading() as tx:
            then = then_of(self._ledger, tx, asked)
        return cursors.encode((wanted, asked), AsOfPlace(then.head.position, to_microseconds(then.moment), after))

    # One offer

    def _finds(self) -> Iterator[Question]:
        floor = partial(self._find, PRESENT)
        for when, asked in ({"now": PRESENT} | self._moments).items():
            yield Question(when, partial(self._find, asked), floor)
        busy = partial(self._find, self._moments["day 45"], number=BUSY)
        yield Question("the busy one, day 45", busy, partial(self._find, PRESENT, number=BUSY))

    def _find(self, asked: Asked, turn: int, number: int | None = None) -> int:
        with self._ledger.recorder.reading() as tx:
            return int(find_offer(self._ledger, tx, self._offer_uid(turn, number), asked) is not None)

    # History

    def _histories(self) -> Iterator[Question]:
        yield self._history_question("any offer's", None, 0)
        yield self._history_question("the busy one's", BUSY, 0)
        yield self._history_question("  its last page", BUSY, self._events_of(BUSY, 0, 0, sys.maxsize) - LIMIT)

    def _history_question(self, name: str, number: int | None, after: int) -> Question:
        return Question(name, partial(self._history, number, after), partial(self._events_of, number, after))

    def _history(self, number: int | None, after: int, turn: int) -> int:
        with self._ledger.recorder.reading() as tx:
            return len(history.page(tx, self._offer_uid(turn, number), after, LIMIT).items)

    def _events_of(self, number: int | None, after: int, turn: int, limit: int = LIMIT) -> int:
        with self._ledger.recorder.reading() as tx:
            stored = self._ledger.recorder.select_stream(tx, self._offer_uid(turn, number), gt=after, limit=limit)
            return len([decode_event(one.topic, one.state) for one in stored])

    def _offer_uid(self, turn: int, number: int | None) -> UUID:
        """None: another one each turn."""
        return key(turn * STEP % self._past.offers if number is None else number).offer_uid
