"""What is asked of the events of a ledger with a long history: what has changed in a span, and what has happened?"""

from collections.abc import Iterator
from functools import partial
from itertools import chain

from api.audit.diff_routes import DiffRequest, diff_document
from api.http.as_of import AsOf
from api.service import Service
from benchmarks.fill.long_history import BUSY, Past
from benchmarks.scenarios.as_of_offers import PARTNERS, key
from benchmarks.scenarios.as_of_queries import FLAT, LIMIT, Question
from domain.events import PartnerSettingsChanged
from domain.store.commit import current_head
from domain.store.mapper import decode_event
from projections.audit import event_list
from projections.audit.diff import ChangeKind
from projections.audit.event_list import EventFilter

SPANS = (1_000, 10_000, 100_000)
"""Events in between."""
PARTS = 10


def event_questions(service: Service, past: Past) -> Iterator[Question]:
    asking = _Asking(service, past)
    return chain(asking.diffs(), asking.lists())


class _Asking:
    def __init__(self, service: Service, past: Past) -> None:
        self._ledger, self._past = service.ledger, past
        with self._ledger.recorder.read() as tx:
            self._midst = current_head(tx).position // 2

    # What has changed

    def diffs(self) -> Iterator[Question]:
        """As long as its tenths together, if it is linear in the changes; a short one costs a page, whatever has changed."""
        for span in SPANS:
            if span < self._midst:
                case, since = f"diff of {span:,} events", self._midst - span
                whole = partial(self._diff, since, span)
                yield Question(case, whole, "reading them", partial(self._read, since, span))
                if span > SPANS[0]:
                    yield Question(case, whole, "diffs of its tenths", partial(self._diffs, since, span), FLAT)

    def _diff(self, since: int, span: int, _: int) -> int:
        """How many changes are counted, whatever the page has of them."""
        asking = DiffRequest(AsOf(position=since), AsOf(position=since + span), None)
        counts = diff_document(self._ledger, asking, None, LIMIT)["counts"]
        return sum(number for kind, number in counts.items() if kind is not ChangeKind.TRANSIENT)

    def _diffs(self, since: int, span: int, turn: int) -> int:
        part = span // PARTS
        return sum(self._diff(first, part, turn) for first in range(since, since + span, part))

    # What has happened

    def lists(self) -> Iterator[Question]:
        partner = PARTNERS[3]
        for name, wanted, after in (
            ("events", EventFilter(), self._midst),
            ("events of a partner", EventFilter(partner=partner), self._midst),
            ("events of an actor", EventFilter(actor=f"{partner} console"), 0),
            ("events of an offer", EventFilter(offer_uid=key(BUSY).offer_uid), 0),
            ("events of a rare type", EventFilter(type=PartnerSettingsChanged.TOPIC), 0),
            ("events of the last day", EventFilter(since=self._past.moment(89 / 90)), 0),
        ):
            yield Question(name, partial(self._page, wanted, after), "reading 100", partial(self._read, after, LIMIT))

    def _page(self, wanted: EventFilter, after: int, _: int) -> int:
        with self._ledger.recorder.read() as tx:
            return len(event_list.page(tx, wanted, after, LIMIT).items)

    def _read(self, after: int, count: int, _: int) -> int:
        with self._ledger.recorder.read() as tx:
            return len([decode_event(s.topic, s.state) for s in self._ledger.recorder.select_entries(tx, after, count)])
