"""How are very many events read? Bit by bit: there may be millions, and their reader may be slow."""

import sys
from collections.abc import Iterator

from domain.ledgers.ledger import LedgerReader
from domain.store.commit import current_head
from domain.values import ProgressCallback, no_progress
from projections.audit import event_list
from projections.audit.event_item import EventView
from projections.audit.event_list import EventFilter

ITEMS_PER_READ = 500


def read_events(
    ledger: LedgerReader,
    wanted: EventFilter,
    after: int,
    limit: int | None = None,
    until: int | None = None,
    watch: ProgressCallback = no_progress,
) -> Iterator[list[EventView]]:
    """All that match until a position, or now, or as many as `limit`. Each bit is of a snapshot of its own."""
    if until is None:
        with ledger.read() as tx:
            until = current_head(tx).position
    remaining = sys.maxsize if limit is None else limit
    following: int | None = after
    while following is not None and remaining:
        watch(following, until)
        with ledger.read() as tx:
            page = event_list.page(tx, wanted, following, min(remaining, ITEMS_PER_READ), until)
        yield page.items
        following = page.next_after
        remaining -= len(page.items)
    watch(until, until)
