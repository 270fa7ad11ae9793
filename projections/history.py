"""What has happened to one offer, when, by whom and why? Read from the events themselves."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import msgspec
from msgspec import Struct

from domain.content import FieldChange, changed_fields
from domain.events import Event, OfferCreated, OfferDeleted, OfferEvent, OfferPaused, OfferRestored, OfferUpdated
from domain.offer import ABSENT, evolve
from domain.store.cursor import Cursor
from domain.store.events import find_event
from domain.store.images import whole_text
from domain.store.mapper import decode_event
from domain.values import Status, recorded_text
from projections.projection import MAX_PAGE_BYTES


class HistoryItem(Struct, frozen=True, rename="camel"):
    """One event of an offer; the fields of its changes point into the offer as the service shows it."""

    position: int
    version: int
    type: str
    offer_uid: UUID
    recorded_at: str
    actor: str
    source: str
    run_id: str | None
    trace_id: str | None
    cause: str | None
    changes: list[dict[str, Any]]


class HistoryPage(Struct, frozen=True):
    """Oldest first; `next_after` is the version that the following page starts after, if there is one."""

    items: list[HistoryItem]
    next_after: int | None


def page(tx: Cursor, offer_uid: UUID, after: int, limit: int) -> HistoryPage:
    """No more items than `limit`, and fewer where contents are large."""
    rows = tx.execute(
        "SELECT c.first_position + e.ordinal AS position, c.recorded_at, c.actor, c.source, c.run_id, c.trace_id,"
        " e.stream_id, e.version"
        " FROM streams s JOIN events e USING (stream_id) JOIN commits c USING (commit_id)"
        " WHERE s.stream_uid = ? ORDER BY e.version LIMIT ?",
        (offer_uid.bytes, after + limit + 1),
    ).fetchall()
    items: list[HistoryItem] = []
    offer, brought, size = ABSENT, None, 0
    for row in rows:
        if len(items) == limit or size > MAX_PAGE_BYTES:
            return HistoryPage(items, items[-1].version)
        event = decode_event(*find_event(tx, row["stream_id"], row["version"]))
        if not isinstance(event, OfferEvent):
            continue
        brings = event if isinstance(event, Bringing) else None
        evolved = evolve(offer, event)
        if row["version"] > after:
            contents = [_text(tx, brought), _text(tx, brings)] if brings else []
            items.append(_item(row, offer_uid, event, changes_between(offer.status, evolved.status, contents)))
            size += sum(map(len, contents))
        offer, brought = evolved, brings or brought
    return HistoryPage(items, None)


Bringing = OfferCreated | OfferUpdated | OfferRestored
"""The events that bring a content."""


def _text(tx: Cursor, brought: Bringing | None) -> bytes:
    return whole_text(tx, brought.content, brought.images) if brought else b"null"


def changes_between(before: Status, after: Status, contents: Sequence[bytes]) -> list[FieldChange]:
    """What differs in an offer as the service shows it. `contents`: the former one and the present one, unless they are the
    same; `null` for one that was not there."""
    former, present = map(msgspec.json.decode, contents or [b"null"] * 2)
    changes = changed_fields(former, present, "/content")
    if before is not after:
        changes.insert(0, FieldChange("/status", _shown(before), _shown(after)))
    return changes


def _shown(status: Status) -> str | None:
    return None if status is Status.ABSENT else status


def cause_of(event: Event) -> str | None:
    """Why it happened, if nobody has named the offer."""
    return event.cause if isinstance(event, OfferPaused | OfferDeleted) else None


def _item(row: Any, offer_uid: UUID, event: OfferEvent, changes: list[FieldChange]) -> HistoryItem:
    return HistoryItem(
        position=row["position"],
        version=row["version"],
        type=event.TOPIC,
        offer_uid=offer_uid,
        recorded_at=recorded_text(row["recorded_at"]),
        actor=row["actor"],
        source=row["source"],
        run_id=row["run_id"],
        trace_id=row["trace_id"],
        cause=cause_of(event),
        changes=[change._asdict() for change in changes],
    )
