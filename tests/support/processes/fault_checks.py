"""Is everything in a ledger that was acknowledged, once, and nothing by halves?"""

import json
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from api.settings import Settings
from api.wiring import open_service
from domain.store.cursor import Cursor
from projections.maintenance.verification import verify

CHANGING = ("created", "updated", "restored", "paused", "deleted")


def require_kept(settings: Settings, acknowledged: dict[UUID, list[str]], told: Sequence[str], *, is_all: bool) -> None:
    """All that was acknowledged, in its order, each once; `is_all`: and nothing else."""
    with open_service(settings) as service:
        with service.ledger.recorder.read() as tx:
            found = events_by_stream(tx)
            if not is_all:
                found = {uid: found.get(uid, [])[: len(types)] for uid, types in acknowledged.items()}
            assert found == acknowledged
            require_no_gap(tx)
            require_no_run_by_halves(tx)
            require_traces(tx, told)
        assert verify(service.ledger) == []


def events_by_stream(tx: Cursor) -> dict[UUID, list[str]]:
    found: dict[UUID, list[str]] = {}
    for row in tx.execute(
        "SELECT stream_uid, topic FROM streams JOIN events USING (stream_id) ORDER BY stream_id, version"
    ).fetchall():
        found.setdefault(UUID(bytes=row["stream_uid"]), []).append(row["topic"])
    return found


def require_no_gap(tx: Cursor) -> None:
    places = [row["position"] for row in tx.execute("SELECT position FROM ledger ORDER BY position").fetchall()]
    assert places == list(range(1, len(places) + 1))


def require_no_run_by_halves(tx: Cursor) -> None:
    """A run has one commit with an event for each offer that it says it has changed; one that is not completed has none."""
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


def require_traces(tx: Cursor, told: Sequence[str]) -> None:
    """Those that were told are there. A commit of a single request and its trace are there together; all are counted."""
    commits = {r[0] for r in tx.execute("SELECT trace_id FROM commits WHERE trace_id IS NOT NULL").fetchall()}
    traces = {
        r[0] for r in tx.execute("SELECT trace_id FROM traces WHERE outcome IN ('created', 'deleted')").fetchall()
    }
    assert commits == traces
    carried_out = {r[0] for r in tx.execute("SELECT trace_id FROM traces").fetchall()}
    assert set(told) <= carried_out
    assert tx.execute("SELECT coalesce(sum(used), 0) FROM quota_use").fetchone()[0] == len(carried_out)
