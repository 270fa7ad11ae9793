"""What has happened in the ledger, in its order? Of one partner, offer, type, run, trace or actor, or all of it."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from msgspec import Struct

from domain.store.commit import current_head, head_at_time
from domain.store.cursor import Cursor
from domain.store.records.events import selected_members
from domain.values import flights_uid
from projections.audit.event_item import EVENT_COLUMNS, JOINED, EventView, items_of

_INSTANT = timedelta(microseconds=1)


class EventFilter(Struct, frozen=True):
    """Which events are wanted; None: of any. Recorded from `since` on, until before `before`. `offer_uid`: of the offer itself,
    its flights, activations and redemptions."""

    partner: str | None = None
    offer_uid: UUID | None = None
    type: str | None = None
    run_id: UUID | None = None
    trace_id: str | None = None
    actor: str | None = None
    since: datetime | None = None
    before: datetime | None = None


class EventPage(Struct, frozen=True):
    """In the order of the ledger. `next_after`: the position that the following page starts after, if there is one; `until`:
    what this one has looked at, if there is none."""

    items: list[EventView]
    next_after: int | None
    until: int


def page(tx: Cursor, wanted: EventFilter, after: int, limit: int, until: int | None = None) -> EventPage:
    """Events after a position, until another one, or the newest. No more than `limit`, and fewer where contents are large."""
    last = current_head(tx).position if until is None else until
    if wanted.before is not None:
        last = min(last, head_at_time(tx, wanted.before - _INSTANT).position)
    if wanted.since is not None:
        after = max(after, head_at_time(tx, wanted.since - _INSTANT).position)
    driver, condition, values = _driver(wanted, after, last)
    conditions, more = _conditions(wanted)
    span, bounds = _span(wanted, after, last, limit)
    rows = tx.execute(
        _SELECT.format(driver=driver, conditions=" AND ".join([condition, *conditions, span])),
        (*values, *more, *bounds, limit + 1),
    ).fetchall()
    items = items_of(tx, rows, limit)
    return EventPage(items, items[-1].position if len(rows) > len(items) else None, max(after, last))


_ORDER = "ORDER BY c.first_position, c.commit_id, e.ordinal"
"""First positions are unique; told of commit ids too, SQLite sees that commits come in order whatever leads to them."""
_SELECT = f"""
    SELECT {EVENT_COLUMNS}
    FROM (SELECT c.commit_id, e.ordinal FROM {{driver}} WHERE {{conditions}} {_ORDER} LIMIT ?) place
    JOIN commits c ON c.commit_id = place.commit_id
    JOIN events e ON e.commit_id = place.commit_id AND e.ordinal = place.ordinal
    {JOINED} {_ORDER}
"""


def _conditions(wanted: EventFilter) -> tuple[list[str], list[Any]]:
    """What drives the query is told once more: it does no harm. Nothing else shall: as an expression, it has no index."""
    given = {
        "told.partner || '' = ?": wanted.partner,
        "e.topic = ?": wanted.type,
        "told.run_id || '' = ?": str(wanted.run_id) if wanted.run_id else None,
        "told.trace_id || '' = ?": wanted.trace_id,
        "told.actor || '' = ?": wanted.actor,
    }
    told = {condition: value for condition, value in given.items() if value is not None}
    return list(told), list(told.values())


def _span(wanted: EventFilter, after: int, last: int, limit: int) -> tuple[str, list[Any]]:
    """Of an offer, all events are looked at."""
    if wanted.offer_uid is not None:
        return "e.ordinal > ? - c.first_position AND e.ordinal <= ? - c.first_position", [after, last]
    return selected_members("told", after, last, limit + 1, [wanted.type] if wanted.type is not None else [])


EVERY_EVENT = "1 = 1"
NEAR = 5_000
"""So few events are looked at one by one sooner than all streams of an offer are put in their order."""


def _driver(wanted: EventFilter, after: int, last: int) -> tuple[str, str, list[Any]]:
    """What leads to the events by the shortest way: a part of FROM with commits `c` and events `e`, a condition that belongs to
    it, and its parameters."""
    if wanted.offer_uid is not None:
        uids = (wanted.offer_uid.bytes, flights_uid(wanted.offer_uid).bytes)
        if last - after <= NEAR:
            return f"{_of_commits(EVERY_EVENT)} {_NEAR_AN_OFFER}", _IS_OF_THE_OFFER, [after + 1, *uids]
        return _OF_AN_OFFER, EVERY_EVENT, [*uids, uids[0], uids[0]]
    if wanted.run_id is not None:
        return _of_commits("run_id = ?"), EVERY_EVENT, [str(wanted.run_id), after + 1]
    if wanted.trace_id is not None:
        return _of_commits("trace_id = ?"), EVERY_EVENT, [wanted.trace_id, after + 1]
    if wanted.type is not None:
        of_partner, whose = ("partner = ? AND ", [wanted.partner]) if wanted.partner is not None else ("", [])
        return _OF_A_TYPE.format(of_partner=of_partner), EVERY_EVENT, [*whose, wanted.type, after + 1]
    if wanted.partner is not None:
        return _of_commits("partner = ?"), EVERY_EVENT, [wanted.partner, after + 1]
    if wanted.actor is not None:
        return _of_commits("actor = ?"), EVERY_EVENT, [wanted.actor, after + 1]
    return _of_commits(EVERY_EVENT), EVERY_EVENT, [after + 1]


# A commit that holds the first wanted event may begin before it.
_FIRST = "(SELECT coalesce(max(f.first_position), 0) FROM commits f WHERE f.first_position <= ?)"
_EVENTS = "CROSS JOIN commits told ON told.commit_id = c.commit_id CROSS JOIN events e ON e.commit_id = c.commit_id"


def _of_commits(condition: str) -> str:
    return (
        f"(SELECT first_position, commit_id FROM commits WHERE {condition} AND first_position >= {_FIRST}) c {_EVENTS}"
    )


_OF_A_TYPE = f"""
    (SELECT position AS first_position, commit_id FROM event_types WHERE {{of_partner}}type = ? AND position >= {_FIRST}) c
    {_EVENTS}
"""
_NEAR_AN_OFFER = """
    CROSS JOIN (SELECT (SELECT stream_id FROM streams WHERE stream_uid = ?) AS offer_id,
                       (SELECT stream_id FROM streams WHERE stream_uid = ?) AS flights_id) o
"""
_IS_OF_THE_OFFER = """
    (e.stream_id = o.offer_id OR e.stream_id = o.flights_id
     OR EXISTS (SELECT 1 FROM redemption_windows w WHERE w.activation_id = e.stream_id AND w.offer_id = o.offer_id)
     OR EXISTS (SELECT 1 FROM redemptions r
                WHERE r.redemption_id = e.stream_id AND r.version = e.version AND r.offer_id = o.offer_id))
"""
# A purchase that was refused on one offer may be redeemed on another one.
_OF_AN_OFFER = """
    (
        SELECT e.commit_id, e.ordinal, e.topic FROM streams s JOIN events e ON e.stream_id = s.stream_id WHERE s.stream_uid IN (?, ?)
        UNION ALL SELECT e.commit_id, e.ordinal, e.topic FROM redemption_windows w JOIN events e ON e.stream_id = w.activation_id
        WHERE w.offer_id = (SELECT stream_id FROM streams WHERE stream_uid = ?)
        UNION ALL SELECT e.commit_id, e.ordinal, e.topic FROM redemptions r JOIN events e ON e.stream_id = r.redemption_id AND e.version = r.version
        WHERE r.offer_id = (SELECT stream_id FROM streams WHERE stream_uid = ?)
    ) e CROSS JOIN commits c ON c.commit_id = e.commit_id CROSS JOIN commits told ON told.commit_id = c.commit_id
"""
