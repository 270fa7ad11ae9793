"""The history of one offer: its events, each with time, actor, cause and changed fields."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from msgspec import Struct

from domain.store.cursor import Cursor
from projections.audit.event_item import EVENT_COLUMNS, EVENT_JOINS, EventView, event_views


class HistoryPage(Struct, frozen=True):
    """Events of one offer. `next_after` is the version after which the next page starts; None on the last page."""

    items: list[EventView]
    next_after: int | None


_SELECT = f"""
    SELECT {EVENT_COLUMNS} FROM streams o JOIN events e ON e.stream_id = o.stream_id
    JOIN commits c ON c.commit_id = e.commit_id {EVENT_JOINS}
"""


def page(tx: Cursor, offer_uid: UUID, after: int, limit: int) -> HistoryPage:
    """Returns the events after version `after`, oldest first; at most `limit`, fewer if contents are large."""
    return _page(tx, "e.version > ? ORDER BY e.version", offer_uid, after, limit)


def page_backwards(tx: Cursor, offer_uid: UUID, before: int, limit: int) -> HistoryPage:
    """Returns the events before version `before`, newest first; at most `limit`, fewer if contents are large."""
    return _page(tx, "e.version < ? ORDER BY e.version DESC", offer_uid, before, limit)


def events_of_versions(tx: Cursor, versions: Mapping[UUID, Sequence[int]]) -> list[EventView]:
    """Returns the events of these versions of offers, oldest first for each offer; fewer if contents are large."""
    rows: list[Any] = []
    for offer_uid, numbers in versions.items():
        marks = ", ".join("?" * len(numbers))
        rows += tx.execute(
            f"{_SELECT} WHERE o.stream_uid = ? AND e.version IN ({marks}) ORDER BY e.version",
            (offer_uid.bytes, *numbers),
        ).fetchall()
    return event_views(tx, rows, len(rows))


def _page(tx: Cursor, condition: str, offer_uid: UUID, version: int, limit: int) -> HistoryPage:
    rows = tx.execute(
        f"{_SELECT} WHERE o.stream_uid = ? AND {condition} LIMIT ?",
        (offer_uid.bytes, version, limit + 1),
    ).fetchall()
    items = event_views(tx, rows, limit)
    return HistoryPage(items, items[-1].version if len(rows) > len(items) else None)
