"""Reads the offers that a run has changed: their present states and those before the run, without contents."""

from typing import Any
from uuid import UUID

from domain.runs.undo import ChangedOffer
from domain.store.cursor import Cursor
from domain.values import Status


def changed_offers(tx: Cursor, run_id: UUID) -> list[ChangedOffer]:
    """Returns the offers that a run has changed, in the order of its events."""
    return [_changed_offer(row) for row in tx.execute(_SELECT, (str(run_id),)).fetchall()]


_SELECT = """
    SELECT s.stream_uid, i.offer_id, i.merchant_id, i.external_id, i.version, i.status,
           coalesce(p.status, 'absent') AS status_before, coalesce(p.content_version, 0) AS content_before,
           q.content_digest <> i.content_digest AS has_other_content,
           i.updated_commit = r.commit_id AS is_newest, n.run_id, n.trace_id, n.actor
    FROM (
        SELECT e.commit_id, e.stream_id, min(e.version) AS version, min(e.ordinal) AS ordinal FROM events e
        WHERE e.commit_id = (SELECT c.commit_id FROM commits c WHERE c.run_id = ?) GROUP BY e.commit_id, e.stream_id
    ) r
    CROSS JOIN inventory i ON i.offer_id = r.stream_id
    CROSS JOIN streams s ON s.stream_id = r.stream_id
    CROSS JOIN commits n ON n.commit_id = i.updated_commit
    LEFT JOIN offer_periods p ON p.offer_id = r.stream_id AND p.version = r.version - 1
    LEFT JOIN offer_periods q ON q.offer_id = r.stream_id AND q.version = p.content_version
    ORDER BY r.ordinal
"""


def _changed_offer(row: Any) -> ChangedOffer:
    return ChangedOffer(
        uid=bytes(row["stream_uid"]),
        offer_id=row["offer_id"],
        merchant_id=row["merchant_id"],
        external_id=row["external_id"],
        version=row["version"],
        status=Status(row["status"]),
        status_before=Status(row["status_before"]),
        content_before=row["content_before"],
        has_other_content=bool(row["has_other_content"]),
        changed_by=None if row["is_newest"] else _cause(row),
    )


def _cause(row: Any) -> str:
    """Returns the run or the single request of the newest event, for people."""
    if row["run_id"] is not None:
        return f"run {row['run_id']}"
    return f"request {row['trace_id']}" if row["trace_id"] is not None else str(row["actor"])
