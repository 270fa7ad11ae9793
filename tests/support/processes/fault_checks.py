"""Checks after faults: everything acknowledged is stored exactly once, and nothing is stored partially."""

import json
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from api.settings import Settings
from api.wiring import open_service
from domain.store.cursor import Cursor
from projections.maintenance.verification import verify

CHANGING = ("created", "updated", "restored", "paused", "deleted")


def require_kept(
    settings: Settings, acknowledged: dict[UUID, list[str]], trace_ids: Sequence[str], *, is_all: bool
) -> None:
    """Requires each acknowledged event once and in order; with `is_all`, also no other event."""
    with open_service(settings) as service:
        with service.ledger.recorder.read() as tx:
            stored = events_by_stream(tx)
            if not is_all:
                stored = {uid: stored.get(uid, [])[: len(types)] for uid, types in acknowledged.items()}
            assert stored == acknowledged
            require_no_gap(tx)
            require_complete_runs(tx)
            require_traces(tx, trace_ids)
        assert verify(service.ledger) == []


def events_by_stream(tx: Cursor) -> dict[UUID, list[str]]:
    events: dict[UUID, list[str]] = {}
    for row in tx.execute(
        "SELECT stream_uid, topic FROM streams JOIN events USING (stream_id) ORDER BY stream_id, version"
    ).fetchall():
        events.setdefault(UUID(bytes=row["stream_uid"]), []).append(row["topic"])
    return events


def require_no_gap(tx: Cursor) -> None:
    positions = [row["position"] for row in tx.execute("SELECT position FROM ledger ORDER BY position").fetchall()]
    assert positions == list(range(1, len(positions) + 1))


def require_complete_runs(tx: Cursor) -> None:
    """Requires one commit per completed run, with an event for each changed offer, and no commit for other runs."""
    rows = tx.execute(
        "SELECT r.state, r.counts, count(c.commit_id) AS commits, coalesce(sum(c.event_count), 0) AS events"
        " FROM runs r LEFT JOIN commits c ON c.run_id = r.run_id GROUP BY r.run_id, r.state, r.counts"
    ).fetchall()
    for row in rows:
        counts: dict[str, Any] = json.loads(row["counts"] or "{}")
        changed = sum(counts.get(name, 0) for name in CHANGING)
        assert (row["commits"], row["events"]) == (int(changed > 0), changed)
        assert row["state"] in {"accepted", "running", "completed"}
        assert (row["state"] == "completed") == bool(counts)


def require_traces(tx: Cursor, trace_ids: Sequence[str]) -> None:
    """Requires the given traces, a trace for each commit of a single request and vice versa, and a quota count for
    each."""
    commits = {r[0] for r in tx.execute("SELECT trace_id FROM commits WHERE trace_id IS NOT NULL").fetchall()}
    traces = {
        r[0] for r in tx.execute("SELECT trace_id FROM traces WHERE outcome IN ('created', 'deleted')").fetchall()
    }
    assert commits == traces
    executed = {r[0] for r in tx.execute("SELECT trace_id FROM traces").fetchall()}
    assert set(trace_ids) <= executed
    assert tx.execute("SELECT coalesce(sum(used), 0) FROM quota_use").fetchone()[0] == len(executed)
