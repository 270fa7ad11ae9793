"""Reads one event, and builds the SQL that selects the next events of a commit."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from domain.store.cursor import Cursor
from domain.values import EventOrder

SMALL_STATE_BYTES = 16 * 1024
"""A page of states of up to this size fits into memory."""


class EventState(NamedTuple):
    topic: str
    state: bytes


def find_event(tx: Cursor, stream_id: int, version: int) -> EventState:
    """Returns an existing event. It reads one at a time: many large states might not fit into memory."""
    row = tx.execute(
        "SELECT topic, CAST(state AS BLOB) AS state FROM events WHERE stream_id = ? AND version = ?",
        (stream_id, version),
    ).fetchone()
    return EventState(row["topic"], row["state"])


def find_events(tx: Cursor, places: Sequence[tuple[int, int]]) -> dict[tuple[int, int], EventState]:
    """Returns existing events by stream id and version. The caller bounds their number."""
    if not places:
        return {}
    condition, values = tx.dialect.in_pairs(places)
    rows = tx.execute(
        "SELECT stream_id, version, topic, CAST(state AS BLOB) AS state FROM events"
        f" WHERE (stream_id, version) {condition}",
        values,
    )
    return {(row[0], row[1]): EventState(row["topic"], row["state"]) for row in rows.fetchall()}


def small_state(events: str) -> str:
    """Returns a SELECT expression: the state of an event if it is small, otherwise NULL."""
    return f"CASE WHEN length({events}.state) <= {SMALL_STATE_BYTES} THEN CAST({events}.state AS BLOB) END"


def selected_members(
    commits: str, after: int, until: int, limit: int, topics: Sequence[str] = (), order: EventOrder = EventOrder.ASC
) -> tuple[str, list[Any]]:
    """Returns a condition and its parameters: events `e` of these commits have positions after `after` and up to `until`.

    In a commit with more than `limit` events, it restricts the range of ordinals to about `limit` events: the first or the
    last ones, by `order`. Without that, PostgreSQL sorts all matching events of a commit before it returns the first
    one."""
    ordinal = f"? - {commits}.first_position"
    of_topics = f"AND n.topic IN ({','.join('?' * len(topics))})" if topics else ""
    begins, ends, near, far = (">", "<=", after, until) if order is EventOrder.ASC else ("<=", ">", until, after)
    condition = f"""
        e.ordinal {begins} {ordinal}
        AND e.ordinal {ends} CASE WHEN {commits}.event_count <= ? THEN {ordinal} ELSE coalesce((
            SELECT n.ordinal FROM events n
            WHERE n.commit_id = {commits}.commit_id AND n.ordinal > {ordinal} AND n.ordinal <= {ordinal}
            {of_topics} ORDER BY n.ordinal {order} LIMIT 1 OFFSET ?), {ordinal}) END
    """
    return condition, [near, limit, far, after, until, *topics, limit, far]
