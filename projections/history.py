"""What has happened to one offer, when, by whom and why? Read from the events themselves."""

from uuid import UUID

from msgspec import Struct

from domain.store.cursor import Cursor
from projections.event_item import COLUMNS, JOINED, EventItem, items_of


class HistoryPage(Struct, frozen=True):
    """Oldest first; `next_after` is the version that the following page starts after, if there is one."""

    items: list[EventItem]
    next_after: int | None


def page(tx: Cursor, offer_uid: UUID, after: int, limit: int) -> HistoryPage:
    """No more items than `limit`, and fewer where contents are large."""
    rows = tx.execute(
        f"SELECT {COLUMNS} FROM streams o JOIN events e ON e.stream_id = o.stream_id"
        f" JOIN commits c ON c.commit_id = e.commit_id {JOINED}"
        " WHERE o.stream_uid = ? AND e.version > ? ORDER BY e.version LIMIT ?",
        (offer_uid.bytes, after, limit + 1),
    ).fetchall()
    items = items_of(tx, rows, limit)
    return HistoryPage(items, items[-1].version if len(rows) > len(items) else None)
