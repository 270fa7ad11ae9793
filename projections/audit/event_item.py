"""One event as the API and the exports show it: its position, its actor and the fields that it changed."""

from collections.abc import Sequence
from typing import Any, assert_never
from uuid import UUID

import msgspec
from msgspec import Raw, Struct

from domain.events import (
    Event,
    FlightScheduled,
    HoldEvent,
    OfferActivated,
    OfferCreated,
    OfferDeleted,
    OfferEvent,
    OfferHeld,
    OfferPaused,
    OfferRedeemed,
    OfferReleased,
    OfferRestored,
    OfferResumed,
    OfferUpdated,
    PartnerEvent,
    PartnerRegistered,
    PartnerSettingsChanged,
    RedemptionEvent,
    RedemptionRefused,
    RedemptionReversed,
    TokenCreated,
    TokenRevoked,
)
from domain.offers.content import FieldChange, changed_fields
from domain.offers.offer import STATUS_AFTER
from domain.offers.slow_numbers import decode_content
from domain.offers.value_count import MAX_VALUES, has_more_values
from domain.store.cursor import Cursor
from domain.store.mapper import decode_event
from domain.store.records.contents import content_of_event
from domain.store.records.events import EventState, find_event, small_state
from domain.store.records.images import full_text
from domain.values import Status, recorded_text
from projections.projection import MAX_PAGE_BYTES


class EventView(Struct, frozen=True, rename="camel"):
    """An event as the API returns it.

    The fields of its changes are JSON pointers into the changed thing as the API returns that: an offer, an activation
    or a partner's settings. `cause` says why the service changed an offer that no request named, such as its absence from a
    Synchronize. `reason` is what the operator who acted has stated.
    """

    position: int
    version: int
    type: str
    offer_uid: UUID | None
    partner: str | None
    recorded_at: str
    actor: str
    source: str
    run_id: str | None
    trace_id: str | None
    cause: str | None
    reason: str | None
    changes: list[dict[str, Any]]


EVENT_COLUMNS = f"""
    c.first_position + e.ordinal AS position, c.recorded_at, c.partner, c.actor, c.source, c.run_id, c.trace_id,
    c.reason, e.stream_id, s.stream_uid, e.version, e.topic, {small_state("e")} AS state,
    b.status AS status_before, b.content_version AS content_before,
    f.topic AS former_topic, {small_state("f")} AS former_state
"""
EVENT_JOINS = """
    JOIN streams s ON s.stream_id = e.stream_id
    LEFT JOIN offer_periods b ON b.offer_id = e.stream_id AND b.version = e.version - 1
    LEFT JOIN events f ON f.stream_id = b.offer_id AND f.version = b.content_version
"""
"""The columns and joins that `event_views` needs, for commits `c` and events `e`. The columns leave out large event
states: `event_views` reads these one by one, because a page of them could exceed the memory of the process."""


def event_views(tx: Cursor, rows: Sequence[Any], limit: int, max_bytes: int = MAX_PAGE_BYTES) -> list[EventView]:
    """Returns views of the first `limit` rows; fewer if they would exceed `max_bytes`, but at least one."""
    items: list[EventView] = []
    size = 0
    for row in rows[:limit]:
        stored = _stored(tx, row, "", row["version"])
        event = decode_event(*stored)
        contents = _contents(tx, row, event) if isinstance(event, ContentEvent) else []
        size += len(stored.state) + sum(map(len, contents))
        if items and size > max_bytes:
            break
        items.append(_item(tx, row, event, contents))
    return items


def _stored(tx: Cursor, row: Any, column_prefix: str, version: int) -> EventState:
    state = row[f"{column_prefix}state"]
    return (
        find_event(tx, row["stream_id"], version) if state is None else EventState(row[f"{column_prefix}topic"], state)
    )


def _item(tx: Cursor, row: Any, event: Event, contents: Sequence[bytes]) -> EventView:
    return EventView(
        position=row["position"],
        version=row["version"],
        type=event.TOPIC,
        offer_uid=_offer_uid(tx, row, event),
        partner=row["partner"],
        recorded_at=recorded_text(row["recorded_at"]),
        actor=row["actor"],
        source=row["source"],
        run_id=row["run_id"],
        trace_id=row["trace_id"],
        cause=cause_of(event),
        reason=row["reason"],
        changes=[change._asdict() for change in _changes(tx, row, event, contents)],
    )


def cause_of(event: Event) -> str | None:
    """Returns the reason of a pause or deletion if no request named the offer; otherwise None."""
    return event.cause if isinstance(event, OfferPaused | OfferDeleted) else None


def _offer_uid(tx: Cursor, row: Any, event: Event) -> UUID | None:
    match event:
        case OfferCreated() | OfferUpdated() | OfferPaused() | OfferResumed() | OfferDeleted() | OfferRestored():
            return UUID(bytes=row["stream_uid"])
        case FlightScheduled() | OfferHeld() | OfferReleased():
            return UUID(event.offer_uid)
        case OfferActivated() | OfferRedeemed() | RedemptionRefused():
            return UUID(event.offer_uid)
        case RedemptionReversed():
            return _offer_of_redemption(tx, row)
        case PartnerRegistered() | PartnerSettingsChanged() | TokenCreated() | TokenRevoked():
            return None
        case _:
            assert_never(event)


def _offer_of_redemption(tx: Cursor, row: Any) -> UUID | None:
    """Returns the offer of a reversal.

    It comes from the row of the reversal: an earlier refusal of the same transactionId can belong to another offer."""
    redemption = tx.execute(
        "SELECT s.stream_uid FROM redemptions r JOIN streams s ON s.stream_id = r.offer_id"
        " WHERE r.redemption_id = ? AND r.version = ?",
        (row["stream_id"], row["version"]),
    ).fetchone()
    return UUID(bytes=redemption["stream_uid"]) if redemption else None


# Changes


ContentEvent = OfferCreated | OfferUpdated | OfferRestored
"""The events that set the content of an offer."""


def _contents(tx: Cursor, row: Any, event: ContentEvent) -> list[bytes]:
    """Returns the content before the event, and the content that the event set."""
    former, version = b"null", row["content_before"]
    if version:
        former = bytes(content_of_event(tx, _stored(tx, row, "former_", version)).text)
    return [former, full_text(tx, event.content, event.images)]


def _changes(tx: Cursor, row: Any, event: Event, contents: Sequence[bytes]) -> list[FieldChange]:
    if isinstance(event, OfferEvent):
        status = Status(row["status_before"] or Status.ABSENT)
        return changes_between(status, STATUS_AFTER[type(event)] or status, contents)
    if isinstance(event, HoldEvent):
        return [FieldChange("/hold", _hold(_event_before(tx, row)), _hold(event))]
    if isinstance(event, PartnerSettingsChanged):
        before = _event_before(tx, row)
        return changed_fields(_settings(before) if isinstance(before, PartnerEvent) else {}, _settings(event))
    if isinstance(event, PartnerRegistered):
        return changed_fields({}, {"partner": event.partner} | _settings(event))
    if isinstance(event, TokenRevoked):
        return [FieldChange("/revokedAt", None, recorded_text(row["recorded_at"]))]
    return changed_fields({}, _stream_id(row, event) | _members(event))


def _event_before(tx: Cursor, row: Any) -> Event | None:
    """Returns the event before this one in its stream."""
    return decode_event(*find_event(tx, row["stream_id"], row["version"] - 1)) if row["version"] > 1 else None


def _hold(event: Event | None) -> dict[str, Any] | None:
    """Returns the end of the hold that the event set; None if it set none."""
    return {"until": _members(event).get("until")} if isinstance(event, OfferHeld) else None


def changes_between(before: Status, after: Status, contents: Sequence[bytes]) -> list[FieldChange]:
    """Returns the changed fields of an offer as the API returns it.

    `contents` has the earlier and the later content as JSON, with `null` for an offer that did not exist. It is empty
    if the content is unchanged. A content of very many values is compared as a whole, and stays as sent."""
    changes = _content_changes(*contents) if contents else []
    if before is not after:
        changes.insert(0, FieldChange("/status", _shown(before), _shown(after)))
    return changes


def _content_changes(earlier: bytes, later: bytes) -> list[FieldChange]:
    if any(has_more_values(content, MAX_VALUES) for content in (earlier, later)):
        # Decoding would hold the interpreter for a second. Only an older version has stored such a content.
        before = None if earlier == b"null" else Raw(earlier)
        return [] if earlier == later else [FieldChange(_CONTENT, before, Raw(later))]
    return changed_fields(decode_content(earlier), decode_content(later), _CONTENT)


_CONTENT = "/content"


def _shown(status: Status) -> str | None:
    return None if status is Status.ABSENT else status


def _settings(event: PartnerEvent) -> dict[str, Any]:
    settings: dict[str, Any] = msgspec.to_builtins(event.settings)
    return settings


_OFFER_UID = "offerUid"
"""Left out of the changes, because it is a member of the item itself."""


def _members(event: Event) -> dict[str, Any]:
    members: dict[str, Any] = msgspec.to_builtins(event)
    times = {name: recorded_text(members[name]) for name in event.TIMES if members.get(name) is not None}
    return {name: value for name, value in (members | times).items() if name not in {_OFFER_UID, *event.SECRET}}


def _stream_id(row: Any, event: Event) -> dict[str, Any]:
    """Returns the id of an activation or a purchase, which is the UUID of its stream."""
    if isinstance(event, OfferActivated):
        return {"activationId": str(UUID(bytes=row["stream_uid"]))}
    return {"redemptionId": str(UUID(bytes=row["stream_uid"]))} if isinstance(event, RedemptionEvent) else {}
