"""What has happened to one offer, when, by whom and why? Read from the events themselves."""

from uuid import UUID

from msgspec import Struct

from domain.store.cursor import Cursor
from projections.audit.event_item import EVENT_COLUMNS, JOINED, EventView, items_of


class HistoryPage(Struct, frozen=True):
    """`next_after`: the version that the following page starts after, if there is one."""

    items: list[EventView]
    next_after: int | None


def page(tx: Cursor, offer_uid: UUID, after: int, limit: int) -> HistoryPage:
    """Oldest first. No more items than `limit`, and fewer where contents are large."""
    return _page(tx, "e.version > ? ORDER BY e.version", offer_uid, after, limit)


def page_back(tx: Cursor, offer_uid: UUID, before: int, limit: int) -> HistoryPage:
    """Newest first, of what came before a version; otherwise the same."""
    return _page(tx, "e.version < ? ORDER BY e.version DESC", offer_uid, before, limit)


def _page(tx: Cursor, wanted: str, offer_uid: UUID, version: int, limit: int) -> HistoryPage:
    rows = tx.execute(
        f"SELECT {EVENT_COLUMNS} FROM streams o JOIN events e ON e.stream_id = o.stream_id"
        f" JOIN commits c ON c.commit_id = e.commit_id {JOINED} WHERE o.stream_uid = ? AND {wanted} LIMIT ?",
        (offer_uid.bytes, version, limit + 1),
    ).fetchall()
    items = items_of(tx, rows, limit)
    return HistoryPage(items, items[-1].version if len(rows) > len(items) else None)
