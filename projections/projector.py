"""How do the projections follow the ledger?

A projection is written in the transaction of the events that change it, and can be thrown away and rebuilt from the
events at any time.
"""

from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Any

from msgspec import Struct

from domain.events import Event
from domain.ledgers.ledger import CommitKinds, Entry, Gathered, OfferLedger
from domain.store.commit import current_head
from domain.store.cursor import Cursor
from projections.access import partners, tokens
from projections.audit import event_types
from projections.offers import inventory, offer_periods, status_counts
from projections.projection import Projection
from projections.redemption import redemption_windows, redemptions

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


class Projector:
    """Follows the ledger in each of its transactions. A projection whose table is not there yet is passed over: whoever
    builds it brings it up to the commit after which it is seen. One that is there never is, whatever it lacks."""

    def __init__(self) -> None:
        self._unseen = {projection.name for projection in PROJECTIONS}

    def project(self, tx: Cursor, entries: Sequence[Entry], /) -> None:
        if self._unseen:
            self._unseen -= tx.dialect.table_names(tx)
        project(tx, entries, self._seen())

    def gather(self, tx: Cursor, kinds: CommitKinds, /) -> Gathered:
        return gather(tx, kinds, self._seen())

    def seal(self, tx: Cursor, gathered: Gathered, /) -> None:
        seal(tx, gathered, self._seen())

    def _seen(self) -> list[Projection]:
        return [projection for projection in PROJECTIONS if projection.name not in self._unseen]


class ProjectionReplay:
    """Tells projections again what was recorded, some of it at a time, in the order of the ledger."""

    def __init__(self, projections: Sequence[Projection] = PROJECTIONS) -> None:
        # What is sealed, is told commit by commit; the others need not be.
        self._sealed = [projection for projection in projections if projection.seal is not None]
        self._others = [projection for projection in projections if projection.seal is None]
        self._commit_id, self._kinds = 0, set[type[Event]]()

    def project(self, tx: Cursor, entries: Sequence[Entry]) -> None:
        """Seals each commit that is followed by another one."""
        project(tx, entries, self._others)
        for commit_id, group in groupby(entries, lambda entry: entry.commit_id):
            if commit_id != self._commit_id:
                self.seal(tx)
                self._commit_id = commit_id
            some = list(group)
            project(tx, some, self._sealed)
            self._kinds.update(type(entry.event) for entry in some)

    def seal(self, tx: Cursor) -> None:
        """There is no more of the last commit."""
        seal(tx, gather(tx, {self._commit_id: self._kinds}, self._sealed), self._sealed)
        self._kinds = set()


def project(tx: Cursor, entries: Sequence[Entry], projections: Iterable[Projection] = PROJECTIONS) -> None:
    kinds = {type(entry.event) for entry in entries}
    for projection in projections:
        if projection.apply and not projection.events.isdisjoint(kinds):
            projection.apply(tx, entries)


def gather(tx: Cursor, kinds: CommitKinds, projections: Iterable[Projection] = PROJECTIONS) -> Gathered:
    gathered: dict[str, Sequence[Sequence[Any]]] = {}
    for projection in projections:
        concerned = {commit_id: some for commit_id, some in kinds.items() if not projection.events.isdisjoint(some)}
        if projection.gather and concerned:
            gathered[projection.name] = projection.gather(tx, concerned)
    return gathered


def seal(tx: Cursor, gathered: Gathered, projections: Iterable[Projection] = PROJECTIONS) -> None:
    for projection in projections:
        if projection.seal and projection.name in gathered:
            projection.seal(tx, gathered[projection.name])


def tables() -> list[str]:
    """The statements that create every projection's tables and indexes."""
    return [statement for projection in PROJECTIONS for statement in (projection.table, *projection.indexes)]


class ProjectionSize(Struct, frozen=True):
    """`rows`: None for one that has not been built."""

    name: str
    rows: int | None


class ProjectionStatus(Struct, frozen=True):
    """`position`: the ledger's, and so that of all projections: they are written in the transactions of the events."""

    position: int
    items: list[ProjectionSize]


def status(ledger: OfferLedger) -> ProjectionStatus:
    with ledger.recorder.read() as tx:
        built = tx.dialect.table_names(tx)
        sizes = [ProjectionSize(p.name, _count(tx, p.name) if p.name in built else None) for p in PROJECTIONS]
        return ProjectionStatus(current_head(tx).position, sizes)


def not_built(ledger: OfferLedger) -> list[str]:
    """Projections that have no table yet: they were added to this program after the ledger was made."""
    with ledger.recorder.read() as tx:
        built = tx.dialect.table_names(tx)
    return [projection.name for projection in PROJECTIONS if projection.name not in built]


def _count(tx: Cursor, table: str) -> int:
    return int(tx.execute(f"SELECT count(*) AS n FROM {table}").fetchone()["n"])
