"""Reads many events in batches: there may be millions, and their consumer may be slow."""

import sys
from collections.abc import Iterator

from domain.ledgers.ledger import LedgerReader
from domain.store.commit import current_head
from domain.values import EventOrder, ProgressCallback, no_progress
from projections.audit import event_list
from projections.audit.event_item import EventView
from projections.audit.event_list import EventFilter, Span, rest_of

ITEMS_PER_READ = 500


def read_events(
    ledger: LedgerReader,
    event_filter: EventFilter,
    after: int,
    limit: int | None = None,
    until: int | None = None,
    on_progress: ProgressCallback = no_progress,
    order: EventOrder = EventOrder.ASC,
) -> Iterator[list[EventView]]:
    """Returns batches of the matching events after position `after`, up to and including `until` (default: the newest
    position).

    `limit`: the maximum number of events. Each batch is read in its own snapshot, so a slow consumer keeps none
    open."""
    if until is None:
        with ledger.read() as tx:
            until = current_head(tx).position
    remaining = sys.maxsize if limit is None else limit
    place: int | None = 0
    while place is not None and remaining:
        rest = rest_of(order, place, Span(after, until))
        on_progress(rest.after, until)
        with ledger.read() as tx:
            page = event_list.page(tx, event_filter, rest.after, min(remaining, ITEMS_PER_READ), rest.until, order)
        yield page.items
        place = page.next_after
        remaining -= len(page.items)
    on_progress(until, until)
