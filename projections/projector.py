"""Keeps all projections up to date with the ledger, and lists them.

A projection is written in the transaction of the events that change it. It can be rebuilt from the events at any time.
"""

from collections.abc import Iterable, Sequence
from itertools import groupby
from operator import attrgetter
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from domain.events import Event
from domain.ledgers.ledger import CommitKinds, Entry, GatheredRows, OfferLedger
from domain.store.commit import current_head
from domain.store.cursor import Cursor
from projections.access import partners, tokens
from projections.audit import event_types
from projections.offers import inventory, offer_holds, offer_periods, status_counts
from projections.projection import Projection
from projections.redemption import redemption_windows, redemptions

PROJECTIONS: tuple[Projection, ...] = (
    inventory.PROJECTION,
    partners.PROJECTION,
    tokens.PROJECTION,
    offer_periods.PROJECTION,
    offer_holds.PROJECTION,
    status_counts.PROJECTION,
    redemption_windows.PROJECTION,
    redemptions.PROJECTION,
    event_types.PROJECTION,
)


class Projector:
    """Updates the projections in each transaction that appends events.

    A projection without a table is skipped: the rebuild that creates the table brings it up to the commit after which
    writers first see it. A projection with a table is never skipped: it is updated, or the write fails.
    """

    def __init__(self) -> None:
        self._unbuilt = {projection.name for projection in PROJECTIONS}

    def project(self, tx: Cursor, entries: Sequence[Entry], /) -> None:
        if self._unbuilt:
            self._unbuilt -= tx.dialect.table_names(tx)
        project(tx, entries, self._built())

    def gather(self, tx: Cursor, kinds: CommitKinds, /) -> GatheredRows:
        return gather(tx, kinds, self._built())

    def seal(self, tx: Cursor, gathered: GatheredRows, /) -> None:
        seal(tx, gathered, self._built())

    def _built(self) -> list[Projection]:
        return [projection for projection in PROJECTIONS if projection.name not in self._unbuilt]


class ProjectionReplay:
    """Applies recorded entries to projections, chunk by chunk, in ledger order."""

    def __init__(self, projections: Sequence[Projection] = PROJECTIONS) -> None:
        self._projections = [replace(p, apply=p.replay()) if p.replay else p for p in projections]
        # One with both functions may read in `seal` what `apply` has written, so it gets its commits one by one.
        self._is_by_commit = any(projection.apply and projection.seal for projection in projections)
        self._kinds: dict[int, set[type[Event]]] = {}
        """The types of event of the commits that are not sealed, in the order of the ledger."""

    def project(self, tx: Cursor, entries: Sequence[Entry]) -> None:
        """Applies the next entries. Seals each commit once an entry of a later commit arrives."""
        groups: Iterable[Sequence[Entry]] = [entries] if entries else []
        if self._is_by_commit:
            groups = [list(group) for _, group in groupby(entries, attrgetter("commit_id"))]
        for group in groups:
            if group[0].commit_id not in self._kinds:
                self.seal(tx)
            project(tx, group, self._projections)
            for commit_id, of_commit in groupby(group, attrgetter("commit_id")):
                self._kinds.setdefault(commit_id, set()).update({type(entry.event) for entry in of_commit})
            newest = {group[-1].commit_id: self._kinds.pop(group[-1].commit_id)}
            self.seal(tx)
            self._kinds = newest

    def seal(self, tx: Cursor) -> None:
        """Seals the commits that are not sealed. All their entries have been applied."""
        seal(tx, gather(tx, self._kinds, self._projections), self._projections)
        self._kinds = {}


def project(tx: Cursor, entries: Sequence[Entry], projections: Iterable[Projection] = PROJECTIONS) -> None:
    kinds = {type(entry.event) for entry in entries}
    for projection in projections:
        if projection.apply and not projection.events.isdisjoint(kinds):
            projection.apply(tx, entries)


def gather(tx: Cursor, kinds: CommitKinds, projections: Iterable[Projection] = PROJECTIONS) -> GatheredRows:
    gathered: dict[str, Sequence[Sequence[Any]]] = {}
    for projection in projections:
        relevant = {commit_id: types for commit_id, types in kinds.items() if not projection.events.isdisjoint(types)}
        if projection.gather and relevant:
            gathered[projection.name] = projection.gather(tx, relevant)
    return gathered


def seal(tx: Cursor, gathered: GatheredRows, projections: Iterable[Projection] = PROJECTIONS) -> None:
    for projection in projections:
        if projection.seal and projection.name in gathered:
            projection.seal(tx, gathered[projection.name])


def tables() -> list[str]:
    """Returns the statements that create the tables and indexes of all projections."""
    return [statement for projection in PROJECTIONS for statement in (projection.table, *projection.indexes)]


class ProjectionSize(Struct, frozen=True):
    """The number of rows of a projection; None if it has no table."""

    name: str
    rows: int | None


class ProjectionStatus(Struct, frozen=True):
    """The position of the ledger and the sizes of the projections.

    All projections are at the position of the ledger, because they are written in the transactions of the events."""

    position: int
    items: list[ProjectionSize]


def status(ledger: OfferLedger) -> ProjectionStatus:
    with ledger.recorder.read() as tx:
        built = tx.dialect.table_names(tx)
        sizes = [ProjectionSize(p.name, _count(tx, p.name) if p.name in built else None) for p in PROJECTIONS]
        return ProjectionStatus(current_head(tx).position, sizes)


def unbuilt_projections(ledger: OfferLedger) -> list[str]:
    """Returns the names of projections without a table: this release added them after the ledger was created."""
    with ledger.recorder.read() as tx:
        built = tx.dialect.table_names(tx)
    return [projection.name for projection in PROJECTIONS if projection.name not in built]


def _count(tx: Cursor, table: str) -> int:
    return int(tx.execute(f"SELECT count(*) AS n FROM {table}").fetchone()["n"])
