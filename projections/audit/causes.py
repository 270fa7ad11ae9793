"""The events that caused the net change of an offer."""

from collections.abc import Sequence
from typing import Any

from msgspec import Struct

from domain.events import OfferDeleted, OfferPaused
from domain.store.cursor import Cursor
from domain.store.mapper import decode_event
from domain.values import Status, recorded_text
from projections.audit.event_item import cause_of

CAUSE_BYTES = 350
"""The approximate size of a cause in a reply."""


class CauseView(Struct, frozen=True, rename="camel"):
    """An event that led to the later state.

    `cause` says why the service changed an offer that no request named, such as its absence from a Synchronize. `reason` is
    what the operator who acted has stated."""

    position: int
    version: int
    type: str
    recorded_at: str
    actor: str
    source: str
    run_id: str | None
    trace_id: str | None
    cause: str | None
    reason: str | None


class Version(Struct, frozen=True):
    """A version of an offer. A digest stands for its content; a version that keeps the content has none."""

    version: int
    status: str
    sets_status: bool
    content_digest: str | None


BEFORE_CREATION = Version(0, Status.ABSENT, sets_status=False, content_digest=None)
"""The state of an offer before its creation."""


def causing_versions(before: Version, between: Sequence[Version]) -> set[int]:
    """Returns the versions that together lead from an earlier state to the state after the last of `between`.

    If the later status differs, these are the changes of status since the earlier status last applied; likewise for the
    content. An event that creates or restores an offer sets both: then all later versions count too."""
    causing = _changes_since(before.status, [(each.version, each.status) for each in between if each.sets_status])
    contents = [(each.version, each.content_digest) for each in between if each.content_digest]
    causing |= _changes_since(before.content_digest, contents)
    of_both = [each.version for each in between if each.version in causing and each.sets_status and each.content_digest]
    return causing | {each.version for each in between if of_both and each.version >= of_both[0]}


def _changes_since(before: str | None, changes: Sequence[tuple[int, str | None]]) -> set[int]:
    """Returns the versions of the changes after the last one to the earlier value; none if that is the last value."""
    last = max((version for version, value in changes if value == before), default=0)
    return {version for version, _ in changes if version > last}


def causes_of(tx: Cursor, offer_id: int, before: Version, until: int) -> list[CauseView]:
    """Returns the events that led from the earlier state to version `until`, oldest first."""
    rows = tx.execute(_BETWEEN, (offer_id, before.version, until)).fetchall()
    causing = causing_versions(before, [_version(row) for row in rows])
    return [_cause(row) for row in rows if row["version"] in causing]


_BETWEEN = f"""
    SELECT q.version, q.status, q.status_version, q.content_digest, c.first_position + q.ordinal AS position,
           c.recorded_at, c.actor, c.source, c.run_id, c.trace_id, c.reason, e.topic,
           CASE WHEN e.topic IN ('{OfferPaused.TOPIC}', '{OfferDeleted.TOPIC}') THEN CAST(e.state AS BLOB) END AS state
    FROM offer_periods q JOIN commits c ON c.commit_id = q.commit_id
    JOIN events e ON e.stream_id = q.offer_id AND e.version = q.version
    WHERE q.offer_id = ? AND q.version > ? AND q.version <= ? ORDER BY q.version
"""


def _version(row: Any) -> Version:
    sets_status = row["status_version"] == row["version"]
    return Version(row["version"], row["status"], sets_status, row["content_digest"])


def _cause(row: Any) -> CauseView:
    return CauseView(
        position=row["position"],
        version=row["version"],
        type=row["topic"],
        recorded_at=recorded_text(row["recorded_at"]),
        actor=row["actor"],
        source=row["source"],
        run_id=row["run_id"],
        trace_id=row["trace_id"],
        cause=cause_of(decode_event(row["topic"], row["state"])) if row["state"] is not None else None,
        reason=row["reason"],
    )
