"""Primary records of single requests (traces) and of the daily quota that they use."""

from collections.abc import Iterable, Mapping
from uuid import UUID

import msgspec

from domain.single_requests.request import Trace, TraceOutcome
from domain.store.cursor import Condition, Cursor, Lookup
from domain.values import from_microseconds, to_microseconds


def insert_traces(tx: Cursor, traces: Iterable[Trace]) -> None:
    tx.executemany(
        "INSERT INTO traces (trace_id, partner, offer_uid, outcome, version, warnings, actor, accepted_at, traceparent)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [
            (
                trace.trace_id,
                trace.partner,
                trace.offer_uid.bytes,
                trace.outcome,
                trace.version,
                msgspec.json.encode(trace.warnings).decode() if trace.warnings else None,
                trace.actor,
                to_microseconds(trace.accepted_at),
                trace.traceparent,
            )
            for trace in traces
        ],
    )


def find_trace(tx: Cursor, trace_id: str, partner: str | None = None) -> Trace | None:
    """Returns a trace; with `partner`, only a trace of that partner."""
    row = tx.execute(
        "SELECT * FROM traces WHERE trace_id = ? AND partner = coalesce(?, partner)", (trace_id, partner)
    ).fetchone()
    if row is None:
        return None
    return Trace(
        trace_id=row["trace_id"],
        partner=row["partner"],
        offer_uid=UUID(bytes=row["offer_uid"]),
        outcome=TraceOutcome(row["outcome"]),
        version=row["version"],
        warnings=msgspec.json.decode(row["warnings"], type=tuple[str, ...]) if row["warnings"] else (),
        actor=row["actor"],
        accepted_at=from_microseconds(row["accepted_at"]),
        traceparent=row["traceparent"],
    )


def quota_use_lookup(partners: Condition, day: int) -> Lookup[dict[str, int]]:
    """Returns the lookup of the used requests of a day by partner; partners without any are left out."""
    condition, values = partners
    return Lookup(f"SELECT partner, used FROM quota_use WHERE day = ? AND partner {condition}", (day, *values), dict)


def add_quota_use(tx: Cursor, day: int, requests: Mapping[str, int]) -> None:
    """Adds the number of requests by partner to the used quota of a day."""
    tx.executemany(
        "INSERT INTO quota_use (partner, day, used) VALUES (?, ?, ?)"
        " ON CONFLICT (partner, day) DO UPDATE SET used = quota_use.used + excluded.used",
        [(partner, day, count) for partner, count in requests.items()],
    )
