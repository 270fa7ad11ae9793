"""The changes of a comparison, grouped by the run, request or action that made them."""

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any
from uuid import UUID

from msgspec import Struct

from domain.events import OfferCreated, OfferDeleted, OfferPaused, OfferRestored, OfferResumed, OfferUpdated
from domain.store.cursor import Cursor
from projections.audit.causes import CauseView
from projections.audit.change_kind import ChangeKind
from projections.audit.diff import NetChangeView
from projections.audit.offer_history import events_of_versions

CAUSES_SHOWN = 10
"""If an offer has more causes, the page shows the first one and the last ones."""
KIND_OF_EVENT: Mapping[str, ChangeKind] = {
    OfferCreated.TOPIC: ChangeKind.CREATED,
    OfferUpdated.TOPIC: ChangeKind.UPDATED,
    OfferPaused.TOPIC: ChangeKind.PAUSED,
    OfferResumed.TOPIC: ChangeKind.RESUMED,
    OfferDeleted.TOPIC: ChangeKind.DELETED,
    OfferRestored.TOPIC: ChangeKind.RESTORED,
}

Changes = list[dict[str, Any]]


class OfferStep(Struct, frozen=True):
    """The part of one cause in the change of an offer: its events, and the fields that they changed.

    `changes` is None if it is too large for the page. `omitted` is the number of the offer's causes that are not shown
    on the page."""

    item: NetChangeView
    causes: list[CauseView]
    changes: Changes | None
    omitted: int

    @property
    def kinds(self) -> list[ChangeKind]:
        kinds = {KIND_OF_EVENT[cause.type] for cause in self.causes}
        return [kind for kind in ChangeKind if kind in kinds]


class ChangeGroup(Struct, frozen=True):
    """The changes that one run, request or action made. `cause` is the first event of them."""

    cause: CauseView
    steps: list[OfferStep]

    @property
    def counts(self) -> Mapping[str, int]:
        return Counter(str(kind) for step in self.steps for kind in step.kinds)


def group_by_cause(tx: Cursor, items: Sequence[NetChangeView]) -> list[ChangeGroup]:
    """Groups changes by what made them: a run, a request, or an action of an actor at one recorded time.

    An offer is in several groups if several of them led to its later state. The oldest group comes first."""
    fields = _changes_of_steps(tx, items)
    groups: dict[Any, ChangeGroup] = {}
    for item in items:
        shown = _shown(item)
        for key, grouped in groupby(sorted(shown, key=_key_and_position), key=_key):
            causes = list(grouped)
            step = OfferStep(item, causes, _changes(item, causes, fields), len(item.causes) - len(shown))
            group = groups.setdefault(key, ChangeGroup(causes[0], []))
            group.steps.append(step)
    return sorted(groups.values(), key=lambda group: group.cause.position)


def _shown(item: NetChangeView) -> Sequence[CauseView]:
    if len(item.causes) <= CAUSES_SHOWN:
        return item.causes
    return [item.causes[0], *item.causes[1 - CAUSES_SHOWN :]]


def _key(cause: CauseView) -> tuple[str, ...]:
    identity = cause.run_id or cause.trace_id
    return (identity,) if identity else (cause.actor, cause.recorded_at)


def _key_and_position(cause: CauseView) -> tuple[tuple[str, ...], int]:
    return (_key(cause), cause.position)


def _changes_of_steps(tx: Cursor, items: Sequence[NetChangeView]) -> dict[tuple[UUID | None, int], Changes]:
    """Returns the changed fields by offer and version, for offers with several causes.

    A single cause changed what differs between the two states, so its event is not read."""
    versions = {item.offer_uid: [cause.version for cause in _shown(item)] for item in items if len(item.causes) > 1}
    return {(event.offer_uid, event.version): event.changes for event in events_of_versions(tx, versions)}


def _changes(
    item: NetChangeView, causes: Sequence[CauseView], fields: Mapping[tuple[UUID | None, int], Changes]
) -> Changes | None:
    if len(item.causes) == 1:
        return item.changes
    steps = [fields.get((item.offer_uid, cause.version)) for cause in causes]
    return None if None in steps else [change for step in steps for change in step or []]
