"""How do the projections follow the ledger?

A projection is written in the transaction of the events that change it, and can be thrown away and rebuilt from the
events at any time.
"""

from collections.abc import Callable, Collection, Sequence
from itertools import groupby

from msgspec import Struct

from domain.events import Event
from domain.ledger import Entry, OfferLedger
from domain.store.commit import head_of
from domain.store.cursor import Cursor
from domain.values import Watch, unwatched
from projections import (
    event_types,
    inventory,
    offer_periods,
    partners,
    redemption_windows,
    redemptions,
    status_counts,
    tokens,
)
from projections.projection import Projection

PROJECTIONS: tuple[Projection, ...] = (
    inventory.PROJECTION,
    partners.PROJECTION,
    tokens.PROJECTION,
    offer_periods.PROJECTION,
    status_counts.PROJECTION,
    redemption_windows.PROJECTION,
    redemptions.PROJECTION,
    event_types.PROJECTION,
)


class ProjectionStatus(Struct, frozen=True, rename="camel"):
    name: str
    rows: int
    position: int


def tables() -> list[str]:
    """The statements that create every projection's tables and indexes."""
    return [statement for projection in PROJECTIONS for statement in (projection.table, *projection.indexes)]


def project(tx: Cursor, entries: Sequence[Entry]) -> None:
    kinds = {type(entry.event) for entry in entries}
    for projection in PROJECTIONS:
        if projection.apply and not projection.events.isdisjoint(kinds):
            projection.apply(tx, entries)


def seal(tx: Cursor, commit_id: int, kinds: Collection[type[Event]]) -> None:
    for projection in PROJECTIONS:
        if projection.seal and not projection.events.isdisjoint(kinds):
            projection.seal(tx, commit_id, kinds)


def status(ledger: OfferLedger) -> list[ProjectionStatus]:
    with ledger.recorder.reading() as tx:
        position = head_of(tx).position
        return [ProjectionStatus(p.name, _count(tx, p.name), position) for p in PROJECTIONS]


def rebuild(ledger: OfferLedger, watch: Watch = unwatched) -> int:
    """Makes every projection anew and fills it from the first event on; answers the position reached.

    Writers wait until it is done, readers see the old rows until then."""
    with ledger.recorder.writing() as tx:
        for projection in PROJECTIONS:
            tx.execute(f"DROP TABLE IF EXISTS {projection.name}")
            tx.execute(projection.table)
        replay(ledger, tx, watch)
        for projection in PROJECTIONS:
            for index in projection.indexes:
                tx.execute(index)
        return head_of(tx).position


def replay(
    ledger: OfferLedger, tx: Cursor, watch: Watch, also: Callable[[Sequence[Entry]], None] | None = None
) -> None:
    """Projects every event of the ledger; `also` gets them too."""
    done, total = 0, head_of(tx).position
    commit_id, kinds = 0, set[type[Event]]()
    for entries in ledger.entries(tx):
        project(tx, entries)
        for following, some in groupby(entries, lambda entry: entry.commit_id):
            if following != commit_id:
                seal(tx, commit_id, kinds)
                commit_id, kinds = following, set()
            kinds.update(type(entry.event) for entry in some)
        if also:
            also(entries)
        done += len(entries)
        watch(done, total)
    seal(tx, commit_id, kinds)


def _count(tx: Cursor, table: str) -> int:
    return int(tx.execute(f"SELECT count(*) AS n FROM {table}").fetchone()["n"])
