"""Lists of events, filtered by partner, offer, type, run, trace, actor, source or recorded time; oldest or newest first."""

import re
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from msgspec import Struct

from domain.store.commit import current_head, head_at_time
from domain.store.cursor import Cursor
from domain.store.records.events import selected_members
from domain.values import EventOrder, Source, flights_uid, holds_uid
from projections.audit.event_item import EVENT_COLUMNS, EVENT_JOINS, EventView, event_views
from projections.offers import inventory
from projections.projection import MAX_PAGE_BYTES

_INSTANT = timedelta(microseconds=1)


class EventFilter(Struct, frozen=True):
    """Selects events; None in a member selects all.

    `since` is inclusive and `before` exclusive; both are recorded times. `offer_uid` selects the events of the offer
    and of its flights, holds, activations and redemptions. `trace_id` is that of a single request (req-…), `request_trace_id` the
    W3C trace id of the HTTP request that caused the commit.
    """

    partner: str | None = None
    offer_uid: UUID | None = None
    type: str | None = None
    run_id: UUID | None = None
    trace_id: str | None = None
    request_trace_id: str | None = None
    actor: str | None = None
    source: Source | None = None
    since: datetime | None = None
    before: datetime | None = None


def split_trace_id(text: str | None) -> tuple[str | None, str | None]:
    """Returns `trace_id` and `request_trace_id` of the filter for either kind of id."""
    is_of_request = text is not None and re.fullmatch("[0-9a-f]{32}", text)
    return (None, text) if is_of_request else (text, None)


class Span(NamedTuple):
    """The positions after `after`, up to `until`; None is the newest position."""

    after: int
    until: int | None


def rest_of(order: EventOrder, place: int, span: Span) -> Span:
    """Returns the part of a span that follows a place in this order. Place 0 is before the first page."""
    if order is EventOrder.ASC:
        return Span(max(place, span.after), span.until)
    return Span(span.after, place - 1) if place else span


class EventPage(Struct, frozen=True):
    """Events in the order of the list.

    `next_after` is the position after which the next page starts, in the same order; None on the last page. On the last
    page of a list with the oldest first, `until` is the position up to which the list is complete.
    """

    items: list[EventView]
    next_after: int | None
    until: int


def page(
    tx: Cursor,
    event_filter: EventFilter,
    after: int,
    limit: int,
    until: int | None = None,
    order: EventOrder = EventOrder.ASC,
    max_bytes: int = MAX_PAGE_BYTES,
) -> EventPage:
    """Returns events after position `after`, up to position `until` or the newest; at most `limit`, fewer if they would
    exceed `max_bytes`."""
    last = current_head(tx).position if until is None else until
    if event_filter.offer_uid and event_filter.partner and not _is_owned(tx, event_filter):
        return EventPage([], None, max(after, last))
    if event_filter.before is not None:
        last = min(last, head_at_time(tx, event_filter.before - _INSTANT).position)
    if event_filter.since is not None:
        after = max(after, head_at_time(tx, event_filter.since - _INSTANT).position)
    driver, driver_condition, driver_values = _driver(event_filter, after, last)
    conditions, values = _conditions(event_filter)
    range_condition, range_values = _range(event_filter, after, last, limit, order)
    all_conditions = " AND ".join([driver_condition, *conditions, range_condition])
    rows = tx.execute(
        _SELECT.format(driver=driver, conditions=all_conditions, order=_ORDER[order]),
        (*driver_values, *values, *range_values, limit + 1),
    ).fetchall()
    items = event_views(tx, rows, limit, max_bytes)
    return EventPage(items, items[-1].position if len(rows) > len(items) else None, max(after, last))


def _is_owned(tx: Cursor, event_filter: EventFilter) -> bool:
    """Returns whether the filter's offer is one of the filter's partner. All events of an offer have its partner.

    For any other offer, the time that a page takes must not reveal whether it exists."""
    assert event_filter.offer_uid
    return inventory.exists(tx, event_filter.offer_uid, event_filter.partner)


_ORDER = {order: f"ORDER BY c.first_position {order}, c.commit_id {order}, e.ordinal {order}" for order in EventOrder}
"""First positions are unique. The commit id lets SQLite see that every driver returns commits in this order already."""
_SELECT = f"""
    SELECT {EVENT_COLUMNS}
    FROM (SELECT c.commit_id, e.ordinal FROM {{driver}} WHERE {{conditions}} {{order}} LIMIT ?) place
    JOIN commits c ON c.commit_id = place.commit_id
    JOIN events e ON e.commit_id = place.commit_id AND e.ordinal = place.ordinal
    {EVENT_JOINS} {{order}}
"""


def _conditions(event_filter: EventFilter) -> tuple[list[str], list[Any]]:
    """Returns the conditions of the filter and their values.

    Appending an empty string to a column keeps the database from using an index on it: only the driver may choose the
    index. A condition that the driver already applies is repeated, which does no harm."""
    values = {
        "details.partner || '' = ?": event_filter.partner,
        "e.topic = ?": event_filter.type,
        "details.run_id || '' = ?": str(event_filter.run_id) if event_filter.run_id else None,
        "details.trace_id || '' = ?": event_filter.trace_id,
        "substr(details.traceparent, 4, 32) || '' = ?": event_filter.request_trace_id,
        "details.actor || '' = ?": event_filter.actor,
        "details.source || '' = ?": event_filter.source,
    }
    selected = {condition: value for condition, value in values.items() if value is not None}
    return list(selected), list(selected.values())


def _range(event_filter: EventFilter, after: int, last: int, limit: int, order: EventOrder) -> tuple[str, list[Any]]:
    """Returns the condition for events after position `after`, up to position `last`.

    A list of one offer's events reads all of them; other lists read only a part of a large commit."""
    if event_filter.offer_uid is not None:
        return "e.ordinal > ? - c.first_position AND e.ordinal <= ? - c.first_position", [after, last]
    topics = [event_filter.type] if event_filter.type is not None else []
    return selected_members("details", after, last, limit + 1, topics, order)


EVERY_EVENT = "1 = 1"
SCAN_LIMIT = 5_000
"""In a range of up to this number of events, testing each of them is faster than sorting all events of an offer's
streams."""


def _driver(event_filter: EventFilter, after: int, last: int) -> tuple[str, str, list[Any]]:
    """Returns the part of FROM that reads the fewest rows: with commits `c`, events `e`, and `details` of the commits.

    Also returns a condition that belongs to it, and the parameters of both."""
    span = [after + 1, last]
    if event_filter.offer_uid is not None:
        offer_uid = event_filter.offer_uid
        uids = (offer_uid.bytes, flights_uid(offer_uid).bytes, holds_uid(offer_uid).bytes)
        if last - after <= SCAN_LIMIT:
            return f"{_of_commits(EVERY_EVENT)} {_IDS_OF_AN_OFFER}", _IS_OF_AN_OFFER, [*span, *uids]
        return _OF_AN_OFFER, EVERY_EVENT, [*uids, uids[0], uids[0]]
    if event_filter.run_id is not None:
        return _of_commits("run_id = ?"), EVERY_EVENT, [str(event_filter.run_id), *span]
    if event_filter.trace_id is not None:
        return _of_commits("trace_id = ?"), EVERY_EVENT, [event_filter.trace_id, *span]
    if event_filter.request_trace_id is not None:
        # The expression of the index `commits_by_request`.
        of_request = _of_commits("substr(traceparent, 4, 32) = ? AND traceparent IS NOT NULL")
        return of_request, EVERY_EVENT, [event_filter.request_trace_id, *span]
    if event_filter.type is not None:
        of_partner, partner = (
            ("partner = ? AND ", [event_filter.partner]) if event_filter.partner is not None else ("", [])
        )
        return _OF_A_TYPE.format(of_partner=of_partner), EVERY_EVENT, [*partner, event_filter.type, *span]
    for column in ("partner", "actor", "source"):
        if (value := getattr(event_filter, column)) is not None:
            return _of_commits(f"{column} = ?"), EVERY_EVENT, [value, *span]
    return _of_commits(EVERY_EVENT), EVERY_EVENT, span


# The commit with the first selected event can begin before that event.
_FIRST = "(SELECT coalesce(max(f.first_position), 0) FROM commits f WHERE f.first_position <= ?)"
_EVENTS = (
    "CROSS JOIN commits details ON details.commit_id = c.commit_id CROSS JOIN events e ON e.commit_id = c.commit_id"
)


def _of_commits(condition: str) -> str:
    return f"""
        (SELECT first_position, commit_id FROM commits
         WHERE {condition} AND first_position >= {_FIRST} AND first_position <= ?) c
        {_EVENTS}
    """


_OF_A_TYPE = f"""
    (SELECT position AS first_position, commit_id FROM event_types
     WHERE {{of_partner}}type = ? AND position >= {_FIRST} AND position <= ?) c
    {_EVENTS}
"""
_IDS_OF_AN_OFFER = """
    CROSS JOIN (SELECT (SELECT stream_id FROM streams WHERE stream_uid = ?) AS offer_id,
                       (SELECT stream_id FROM streams WHERE stream_uid = ?) AS flights_id,
                       (SELECT stream_id FROM streams WHERE stream_uid = ?) AS holds_id) o
"""
_IS_OF_AN_OFFER = """
    (e.stream_id = o.offer_id OR e.stream_id = o.flights_id OR e.stream_id = o.holds_id
     OR EXISTS (SELECT 1 FROM redemption_windows w WHERE w.activation_id = e.stream_id AND w.offer_id = o.offer_id)
     OR EXISTS (SELECT 1 FROM redemptions r
                WHERE r.redemption_id = e.stream_id AND r.version = e.version AND r.offer_id = o.offer_id))
"""
# A purchase that was refused for one offer can be redeemed on another one, so redemptions are joined by version too.
_OF_AN_OFFER = """
    (
        SELECT e.commit_id, e.ordinal, e.topic FROM streams s JOIN events e ON e.stream_id = s.stream_id
        WHERE s.stream_uid IN (?, ?, ?)
        UNION ALL SELECT e.commit_id, e.ordinal, e.topic FROM redemption_windows w
        JOIN events e ON e.stream_id = w.activation_id
        WHERE w.offer_id = (SELECT stream_id FROM streams WHERE stream_uid = ?)
        UNION ALL SELECT e.commit_id, e.ordinal, e.topic FROM redemptions r
        JOIN events e ON e.stream_id = r.redemption_id AND e.version = r.version
        WHERE r.offer_id = (SELECT stream_id FROM streams WHERE stream_uid = ?)
    ) e CROSS JOIN commits c ON c.commit_id = e.commit_id CROSS JOIN commits details ON details.commit_id = c.commit_id
"""
