"""The history of one offer: its events, each with time, actor, cause and changed fields."""

from uuid import UUID

from msgspec import Struct

from domain.store.cursor import Cursor
from projections.audit.event_item import EVENT_COLUMNS, EVENT_JOINS, EventView, event_views


class HistoryPage(Struct, frozen=True):
    """Events of one offer. `next_after` is the version after which the next page starts; None on the last page."""

    items: list[EventView]
    next_after: int | None


def page(tx: Cursor, offer_uid: UUID, after: int, limit: int) -> HistoryPage:
    """Returns the events after version `after`, oldest first; at most `limit`, fewer if contents are large."""
    return _page(tx, "e.version > ? ORDER BY e.version", offer_uid, after, limit)


def page_backwards(tx: Cursor, offer_uid: UUID, before: int, limit: int) -> HistoryPage:
    """Returns the events before version `before`, newest first; at most `limit`, fewer if contents are large."""
    return _page(tx, "e.version < ? ORDER BY e.version DESC", offer_uid, before, limit)


def _page(tx: Cursor, condition: str, offer_uid: UUID, version: int, limit: int) -> HistoryPage:
    rows = tx.execute(
        f"SELECT {EVENT_COLUMNS} FROM streams o JOIN events e ON e.stream_id = o.stream_id"
        f" JOIN commits c ON c.commit_id = e.commit_id {EVENT_JOINS} WHERE o.stream_uid = ? AND {condition} LIMIT ?",
        (offer_uid.bytes, version, limit + 1),
    ).fetchall()
    items = event_views(tx, rows, limit)
    return HistoryPage(items, items[-1].version if len(rows) > len(items) else None)
