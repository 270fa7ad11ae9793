"""The queries of the benchmark `as-of` that read events: diffs and event lists."""

from collections.abc import Iterator
from functools import partial
from itertools import chain

from api.audit.diff_routes import DiffRequest, diff_document
from api.http.as_of import AsOf
from api.service import Service
from benchmarks.fill.long_history import BUSY, Past
from benchmarks.queries.as_of_offers import PARTNERS, key
from benchmarks.queries.as_of_queries import FLAT, LIMIT, AsOfQuery
from domain.events import PartnerSettingsChanged
from domain.store.commit import current_head
from domain.store.mapper import decode_event
from domain.store.stored_events import select_entries
from projections.audit import event_list
from projections.audit.diff import TRANSIENT
from projections.audit.event_list import EventFilter

SPANS = (1_000, 10_000, 100_000)
"""The numbers of events between the two states of a diff."""
PARTS = 10


def event_queries(service: Service, past: Past) -> Iterator[AsOfQuery]:
    queries = _EventQueries(service, past)
    return chain(queries.diffs(), queries.lists())


class _EventQueries:
    def __init__(self, service: Service, past: Past) -> None:
        self._ledger, self._past = service.ledger, past
        with self._ledger.recorder.read() as tx:
            self._middle = current_head(tx).position // 2

    # Diffs

    def diffs(self) -> Iterator[AsOfQuery]:
        """Yields diffs. A diff that is linear in its events takes as long as ten diffs over the tenths of its span.

        A short diff takes as long as a page, however many offers have changed."""
        for span in SPANS:
            if span < self._middle:
                case, since = f"diff of {span:,} events", self._middle - span
                whole = partial(self._diff, since, span)
                yield AsOfQuery(case, whole, "reading the events", partial(self._read, since, span))
                if span > SPANS[0]:
                    yield AsOfQuery(case, whole, "ten diffs of a tenth", partial(self._diffs, since, span), FLAT)

    def _diff(self, since: int, span: int, _: int) -> int:
        """Executes a diff and returns the number of all changes, not only those on its page."""
        request = DiffRequest(AsOf(position=since), AsOf(position=since + span), None)
        counts = diff_document(self._ledger, request, None, LIMIT)["counts"]
        return sum(number for kind, number in counts.items() if kind != TRANSIENT)

    def _diffs(self, since: int, span: int, turn: int) -> int:
        part = span // PARTS
        return sum(self._diff(first, part, turn) for first in range(since, since + span, part))

    # Lists

    def lists(self) -> Iterator[AsOfQuery]:
        partner = PARTNERS[3]
        for name, event_filter, after in (
            ("events", EventFilter(), self._middle),
            ("events of a partner", EventFilter(partner=partner), self._middle),
            ("events of an actor", EventFilter(actor=f"{partner} console"), 0),
            ("events of an offer", EventFilter(offer_uid=key(BUSY).offer_uid), 0),
            ("events of a rare type", EventFilter(type=PartnerSettingsChanged.TOPIC), 0),
            ("events of the last day", EventFilter(since=self._past.time_at(89 / 90)), 0),
        ):
            reading = partial(self._read, after, LIMIT)
            yield AsOfQuery(name, partial(self._page, event_filter, after), "reading 100 events", reading)

    def _page(self, event_filter: EventFilter, after: int, _: int) -> int:
        with self._ledger.recorder.read() as tx:
            return len(event_list.page(tx, event_filter, after, LIMIT).items)

    def _read(self, after: int, count: int, _: int) -> int:
        with self._ledger.recorder.read() as tx:
            return len([decode_event(s.topic, s.state) for s in select_entries(tx, after, count)])
