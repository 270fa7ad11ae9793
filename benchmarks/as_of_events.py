"""What is asked of the events of a ledger with a long history: what has changed in a span, and what has happened?

The floor of each question is reading as many events from the same place on, and decoding them.
"""

from collections.abc import Iterator
from functools import partial
from uuid import UUID

from api import cursors
from api.as_of import Asked
from api.audit import Asking, diff_document
from api.wiring import Service
from benchmarks.as_of_fill import BUSY, Past
from benchmarks.as_of_offers import PARTNERS, key
from benchmarks.as_of_questions import LIMIT, Question, Section
from domain.events import OfferRestored, PartnerSettingsChanged
from domain.store.commit import head_of
from domain.store.mapper import decode_event
from projections import event_list
from projections.event_list import EventFilter
from projections.net_changes import ChangeKind

SPANS = (100, 1_000, 10_000, 100_000)
"""Events in between."""


class EventQuestions:
    """Those about events to a ledger."""

    def __init__(self, service: Service, past: Past) -> None:
        self._ledger, self._past = service.ledger, past
        with self._ledger.recorder.reading() as tx:
            self._until = head_of(tx).position
        self._midst = self._until // 2

    def __iter__(self) -> Iterator[Section]:
        yield Section("what has changed between two positions", "reading the events in between", list(self._diffs()))
        yield Section("a page of events", "reading 100 events", list(self._lists()))

    # What has changed

    def _diffs(self) -> Iterator[Question]:
        for span in SPANS:
            if span < self._midst:
                asking = Asking(Asked(position=self._midst - span), Asked(position=self._midst), None)
                floor = partial(self._read, self._midst - span, span)
                yield Question(f"{span:,} events", partial(self._diff, asking, None), floor)
                yield Question("  the last page", partial(self._diff, asking, self._last_page(asking, span)), floor)

    def _diff(self, asking: Asking, cursor: str | None, _: int) -> int:
        """How many changes are counted, whatever the page has of them."""
        counts = diff_document(self._ledger, asking, cursor, LIMIT)["counts"]
        return sum(number for kind, number in counts.items() if kind is not ChangeKind.TRANSIENT)

    def _last_page(self, asking: Asking, span: int) -> str | None:
        """Where it starts, as a cursor tells it: the two states, the position before, the counts."""
        since, until = self._midst - span, self._midst
        counts = diff_document(self._ledger, asking, None, 1)["counts"]
        return cursors.encode(asking, (since, until, max(since, until - LIMIT), *counts.values()))

    # What has happened

    def _lists(self) -> Iterator[Question]:
        for where, after in (("start", 0), ("middle", self._midst), ("end", self._until - LIMIT)):
            yield self._list(f"all, at the {where}", EventFilter(), after)
        wanted = {
            "a rare type": EventFilter(type=PartnerSettingsChanged.TOPIC),
            "an offer's": EventFilter(offer_uid=key(BUSY).offer_uid),
            "a run's": EventFilter(run_id=self._run()),
            "a partner's": EventFilter(partner=PARTNERS[3]),
            "a partner's of a type": EventFilter(partner=PARTNERS[3], type=OfferRestored.TOPIC),
            "an actor's": EventFilter(actor=f"{PARTNERS[3]} console"),
            "an actor's of a type": EventFilter(actor=f"{PARTNERS[3]} console", type=OfferRestored.TOPIC),
            "a partner's by another's actor": EventFilter(partner=PARTNERS[3], actor=f"{PARTNERS[4]} feed"),
            "the last day's": EventFilter(since=self._past.moment(89 / 90)),
        }
        for name, one in wanted.items():
            yield self._list(name, one, 0)
        yield self._list("a partner's, at the middle", wanted["a partner's"], self._midst)

    def _list(self, name: str, wanted: EventFilter, after: int) -> Question:
        return Question(name, partial(self._page, wanted, after), partial(self._read, after, LIMIT))

    def _page(self, wanted: EventFilter, after: int, _: int) -> int:
        with self._ledger.recorder.reading() as tx:
            return len(event_list.page(tx, wanted, after, LIMIT).items)

    def _run(self) -> UUID:
        """The largest one."""
        with self._ledger.recorder.reading() as tx:
            runs = "SELECT run_id FROM commits WHERE run_id IS NOT NULL ORDER BY event_count DESC LIMIT 1"
            return UUID(tx.execute(runs).fetchone()["run_id"])

    # The floor

    def _read(self, after: int, count: int, _: int) -> int:
        with self._ledger.recorder.reading() as tx:
            return len([decode_event(s.topic, s.state) for s in self._ledger.recorder.select_entries(tx, after, count)])
