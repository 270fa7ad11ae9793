"""What has happened to one offer, when, by whom and why? Read from the events themselves."""

from typing import Any
from uuid import UUID

import msgspec
from msgspec import Struct

from domain.content import Content, FieldChange, changed_fields
from domain.events import OfferCreated, OfferDeleted, OfferEvent, OfferPaused, OfferRestored, OfferUpdated
from domain.offer import ABSENT, Offer, evolve
from domain.store.cursor import Cursor
from domain.store.images import whole_text
from domain.store.mapper import decode_event
from domain.values import Status, recorded_text


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
    rows = tx.execute(
        "SELECT c.first_position + e.ordinal AS position, c.recorded_at, c.actor, c.source, c.run_id, c.trace_id,"
        " e.version, e.topic, CAST(e.state AS BLOB) AS state"
        " FROM streams s JOIN events e USING (stream_id) JOIN commits c USING (commit_id)"
        " WHERE s.stream_uid = ? ORDER BY e.version LIMIT ?",
        (offer_uid.bytes, after + limit + 1),
    ).fetchall()
    items: list[HistoryItem] = []
    offer, content = ABSENT, None
    for row in rows:
        event = decode_event(row["topic"], row["state"])
        if not isinstance(event, OfferEvent):
            continue
        evolved, new_content = evolve(offer, event), _content(tx, event, content)
        if row["version"] > after:
            items.append(_item(row, offer_uid, event, _changes(offer, content, evolved, new_content)))
        offer, content = evolved, new_content
    return HistoryPage(items[:limit], items[limit - 1].version if len(items) > limit else None)


def _content(tx: Cursor, event: OfferEvent, before: Content | None) -> Content | None:
    if isinstance(event, OfferCreated | OfferUpdated | OfferRestored):
        content: Content = msgspec.json.decode(whole_text(tx, event.content, event.images))
        return content
    return before


def _changes(before: Offer, content: Content | None, after: Offer, new_content: Content | None) -> list[FieldChange]:
    changes = changed_fields(content, new_content, "/content")
    if before.status is not after.status:
        changes.insert(0, FieldChange("/status", _shown(before.status), _shown(after.status)))
    return changes


def _shown(status: Status) -> str | None:
    return None if status is Status.ABSENT else status


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
        cause=event.cause if isinstance(event, OfferPaused | OfferDeleted) else None,
        changes=[change._asdict() for change in changes],
    )
