"""How are very many events read? Bit by bit: there may be millions, and their reader may be slow."""

import sys
from collections.abc import Iterator

from domain.ledgers.ledger import Snapshots
from domain.store.commit import head_of
from domain.values import Watch, unwatched
from projections.audit import event_list
from projections.audit.event_item import EventItem
from projections.audit.event_list import EventFilter

ITEMS_PER_READ = 500


def reading(
    ledger: Snapshots,
    wanted: EventFilter,
    after: int,
    limit: int | None = None,
    until: int | None = None,
    watch: Watch = unwatched,
) -> Iterator[list[EventItem]]:
    """All that match until a position, or now, or as many as `limit`. Each bit is of a snapshot of its own."""
    if until is None:
        with ledger.reading() as tx:
            until = head_of(tx).position
    remaining = sys.maxsize if limit is None else limit
    following: int | None = after
    while following is not None and remaining:
        watch(following, until)
        with ledger.reading() as tx:
            page = event_list.page(tx, wanted, following, min(remaining, ITEMS_PER_READ), until)
        yield page.items
        following = page.next_after
        remaining -= len(page.items)
    watch(until, until)
