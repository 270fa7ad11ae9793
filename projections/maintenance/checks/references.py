"""Finds rows without the row that they belong to, and single requests that contradict their commits.

The statements read the recomputed projections. They report up to `MAX_DIFFERENCES` rows each."""

from collections.abc import Iterator
from typing import Any

from domain.store.cursor import Cursor
from domain.store.records.secrets import PSEUDONYM_KEY, SECRET_BYTES
from projections.maintenance.table_diff import MAX_DIFFERENCES, Difference, differing_columns

_ORPHANS = {
    "streams": "SELECT stream_id FROM streams s WHERE NOT EXISTS (SELECT 1 FROM events e WHERE e.stream_id = s.stream_id)",
    "commits": "SELECT commit_id, run_id FROM commits c WHERE run_id IS NOT NULL"
    " AND NOT EXISTS (SELECT 1 FROM runs r WHERE r.run_id = c.run_id)",
    "commits of traces": "SELECT commit_id, trace_id FROM commits c WHERE trace_id IS NOT NULL"
    " AND NOT EXISTS (SELECT 1 FROM traces t WHERE t.trace_id = c.trace_id)",
    "run_outcomes": "SELECT run_seq, first_item FROM run_outcomes o"
    " WHERE NOT EXISTS (SELECT 1 FROM runs r WHERE r.run_seq = o.run_seq)",
    "run_bodies": "SELECT b.run_id, b.chunk FROM run_bodies b JOIN runs r ON r.run_id = b.run_id"
    " WHERE r.state NOT IN ('accepted', 'running')",
    "quota_use": "SELECT partner, day, used FROM quota_use q"
    " WHERE used < 1 OR NOT EXISTS (SELECT 1 FROM partners p WHERE p.name = q.partner)",
}
"""Rows that must not exist, by table."""

_TRACE_COLUMNS = ("partner", "offer_uid", "outcome", "version", "actor", "traceparent")
_CONTRADICTING_TRACES = """
    SELECT * FROM (
        SELECT t.trace_id, t.partner, t.offer_uid, t.outcome, t.version, t.actor, coalesce(t.traceparent, '') AS traceparent,
               coalesce(c.partner, '') AS expected_partner, s.stream_uid AS expected_offer_uid,
               CASE e.topic WHEN 'OfferCreated' THEN 'created' WHEN 'OfferRestored' THEN 'restored'
                            WHEN 'OfferDeleted' THEN 'deleted' ELSE 'updated' END AS expected_outcome,
               e.version + c.event_count - 1 AS expected_version, c.actor AS expected_actor,
               coalesce(c.traceparent, '') AS expected_traceparent
        FROM traces t CROSS JOIN commits c ON c.trace_id = t.trace_id
        CROSS JOIN events e ON e.commit_id = c.commit_id AND e.ordinal = 0
        CROSS JOIN streams s ON s.stream_id = e.stream_id
    ) compared
    WHERE partner <> expected_partner OR offer_uid <> expected_offer_uid OR outcome <> expected_outcome
       OR version <> expected_version OR actor <> expected_actor OR traceparent <> expected_traceparent
"""
_IMPOSSIBLE_TRACES = """
    SELECT t.trace_id, t.partner, t.outcome, t.version, i.partner AS offer_partner, i.version AS offer_version
    FROM traces t LEFT JOIN streams s ON s.stream_uid = t.offer_uid LEFT JOIN inventory i ON i.offer_id = s.stream_id
    WHERE NOT EXISTS (SELECT 1 FROM commits c WHERE c.trace_id = t.trace_id)
    AND NOT (t.outcome = 'unknown' AND t.version = 0 AND EXISTS (SELECT 1 FROM partners p WHERE p.name = t.partner))
    AND NOT (t.outcome = 'unchanged' AND coalesce(i.partner, '') = t.partner AND t.version > 0
             AND t.version <= coalesce(i.version, 0))
"""
_UNCOUNTED_REQUESTS = """
    SELECT t.partner, t.day, t.requests, coalesce(q.used, 0) AS used
    FROM (SELECT partner, accepted_at / 86400000000 AS day, count(*) AS requests
          FROM traces GROUP BY partner, accepted_at / 86400000000) t
    LEFT JOIN quota_use q ON q.partner = t.partner AND q.day = t.day
    WHERE coalesce(q.used, 0) < t.requests
"""


def wrong_references(tx: Cursor) -> Iterator[Difference]:
    for table, statement in _ORPHANS.items():
        for row in _rows(tx, statement):
            yield Difference(f"{table.partition(' ')[0]} {row[0]}", dict(row), None)
    for row in _rows(tx, _CONTRADICTING_TRACES):
        found, expected = (
            {name: _shown(row[prefix + name]) for name in _TRACE_COLUMNS} for prefix in ("", "expected_")
        )
        yield Difference(f"traces {row['trace_id']}", *differing_columns(found, expected))
    for row in _rows(tx, _IMPOSSIBLE_TRACES):
        found = {"partner": row["partner"], "outcome": row["outcome"], "version": row["version"]}
        offer = {"partner": row["offer_partner"], "newestVersion": row["offer_version"]}
        yield Difference(f"traces {row['trace_id']}", found, offer if row["offer_partner"] else None)
    for row in _rows(tx, _UNCOUNTED_REQUESTS):
        found, expected = {"used": row["used"]}, {"usedAtLeast": row["requests"]}
        yield Difference(f"quota_use partner={row['partner']} day={row['day']}", found, expected)
    secret = tx.execute("SELECT secret FROM secrets WHERE name = ?", (PSEUDONYM_KEY,)).fetchone()
    if secret is None or len(secret["secret"]) != SECRET_BYTES:
        yield Difference(
            f"secrets {PSEUDONYM_KEY}", {"bytes": len(secret[0])} if secret else None, {"bytes": SECRET_BYTES}
        )


def _rows(tx: Cursor, statement: str) -> list[Any]:
    return tx.execute(f"{statement} LIMIT {MAX_DIFFERENCES}").fetchall()


def _shown(value: Any) -> Any:
    return value.hex() if isinstance(value, bytes) else value
