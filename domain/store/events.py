"""What does one event say? Looked up by its place in its stream."""

from typing import NamedTuple

from domain.store.cursor import Cursor


class EventState(NamedTuple):
    topic: str
    state: bytes


def find_event(tx: Cursor, stream_id: int, version: int) -> EventState:
    """For an event that is there. Many events at a time would be more than a process can hold."""
    row = tx.execute(
        "SELECT topic, CAST(state AS BLOB) AS state FROM events WHERE stream_id = ? AND version = ?",
        (stream_id, version),
    ).fetchone()
    return EventState(row["topic"], row["state"])
