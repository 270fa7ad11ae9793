"""How do the projections follow the ledger?

A projection is written in the transaction of the events that change it, and can be thrown away and rebuilt from the
events at any time.
"""

from collections.abc import Callable, Sequence

from msgspec import Struct

from domain.ledger import Entry, OfferLedger
from domain.store.commit import head_of
from domain.store.cursor import Cursor
from domain.values import Watch, unwatched
from projections import inventory, offer_periods, partners, redemption_windows, redemptions, tokens
from projections.projection import Projection

PROJECTIONS: tuple[Projection, ...] = (
    inventory.PROJECTION,
    partners.PROJECTION,
    tokens.PROJECTION,
    offer_periods.PROJECTION,
    redemption_windows.PROJECTION,
    redemptions.PROJECTION,
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
        if not projection.events.isdisjoint(kinds):
            projection.apply(tx, entries)


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
    for entries in ledger.entries(tx):
        project(tx, entries)
        if also:
            also(entries)
        done += len(entries)
        watch(done, total)


def _count(tx: Cursor, table: str) -> int:
    return int(tx.execute(f"SELECT count(*) AS n FROM {table}").fetchone()["n"])
