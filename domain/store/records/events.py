"""What does one event say, and which are the next ones of a commit?"""

from collections.abc import Sequence
from typing import Any, NamedTuple

from domain.store.cursor import Cursor

SMALL_STATE_BYTES = 16 * 1024
"""A page of so large states is nothing that a process could not hold."""


class EventState(NamedTuple):
    topic: str
    state: bytes


def find_event(tx: Cursor, stream_id: int, version: int) -> EventState:
    """For an event that is there. Many large ones at a time would be more than a process can hold."""
    row = tx.execute(
        "SELECT topic, CAST(state AS BLOB) AS state FROM events WHERE stream_id = ? AND version = ?",
        (stream_id, version),
    ).fetchone()
    return EventState(row["topic"], row["state"])


def small_state(events: str) -> str:
    """What tells the state of an event among others, if it is small: a part of SELECT."""
    return f"CASE WHEN length({events}.state) <= {SMALL_STATE_BYTES} THEN CAST({events}.state AS BLOB) END"


def selected_members(
    commits: str, after: int, until: int, limit: int, topics: Sequence[str] = ()
) -> tuple[str, list[Any]]:
    """What events `e` of these commits must be to come after a position, until another one: a condition and its parameters. Of
    a commit with more events than `limit`, little more than so many are looked at: PostgreSQL puts all that it finds of a commit
    in their order before it tells the first one."""
    last = f"? - {commits}.first_position"
    of_topics = f"AND n.topic IN ({','.join('?' * len(topics))})" if topics else ""
    condition = f"""
        e.ordinal > ? - {commits}.first_position
        AND e.ordinal <= CASE WHEN {commits}.event_count <= ? THEN {last} ELSE coalesce((
            SELECT n.ordinal FROM events n
            WHERE n.commit_id = {commits}.commit_id AND n.ordinal > ? - {commits}.first_position AND n.ordinal <= {last}
            {of_topics} ORDER BY n.ordinal LIMIT 1 OFFSET ?), {last}) END
    """
    return condition, [after, limit, until, after, until, *topics, limit, until]
