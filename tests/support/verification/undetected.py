"""The changes by hand that `offer-ledger projections verify` does not detect, and the table of them in the documentation.

tests/projections/maintenance/test_verification_coverage.py changes every column of every table, and keeps the lists true."""

from collections.abc import Iterator

_NO_COMMIT = "A run that changed no offer has no commit to compare with"
_NO_EVENT = "A request that changed nothing has no commit to compare with"
_BODY_GONE = "The body is deleted when the run finishes. It is checked until then"
_TIME = "No other row has this time: the clock of the host may step"
_OPERATIONAL = "Only the process that executes the run uses it"
_ORDER = "It is only a number: its order is checked for runs with outcomes, and nothing refers to it"
_NUMBER = "It is only a number, and nothing refers to it"

UNDETECTED_COLUMNS = {
    "heartbeats": dict.fromkeys(("run_id", "fence", "lease_until"), _OPERATIONAL),
    "images": {"image_id": _NUMBER},
    "progress": dict.fromkeys(("run_id", "fence", "done", "total"), _OPERATIONAL),
    "quota_use": {
        "used": "Refused requests count, but leave no other row. A number below that of the day's traces is detected"
    },
    "run_bodies": {"stored_at": _TIME},
    "run_outcomes": {"items": "Messages, and the ids of offers that the run did not change, are in no event"},
    "runs": {
        "run_seq": _ORDER,
        "run_id": _NO_COMMIT,
        **dict.fromkeys(("partner", "source", "actor", "accepted_position", "traceparent"), _NO_COMMIT),
        "operation": "The stored outcome fits both operations, unless the run paused an offer",
        "body_digest": _BODY_GONE,
        "body_bytes": _BODY_GONE,
        "request_digest": _BODY_GONE,
        "accepted_at": _TIME,
        "finished_at": _TIME,
        **dict.fromkeys(("owner", "lease_until", "fence", "attempts"), _OPERATIONAL),
        "messages": "The messages of a completed run are in no event",
        "problem": "The reason of a failure is in no event",
    },
    "secrets": {"secret": "It is random"},
    "traces": {
        "trace_seq": _NUMBER,
        **dict.fromkeys(("trace_id", "offer_uid", "version", "actor", "traceparent"), _NO_EVENT),
        "warnings": "Warnings are in no event",
        "accepted_at": _TIME,
    },
}
"""The reason by table and column. A change of another row of such a column can be detected."""

UNDETECTED_DELETIONS = {
    "heartbeats": "The table may be lost",
    "progress": "The table may be lost",
    "quota_use": "Refused requests leave no other row",
    "runs": "A run that changed no offer has no commit to compare with",
    "traces": "A request that changed nothing has no commit to compare with",
    "images": "Only an image that no event refers to, as a killed process leaves it",
}
UNDETECTED_INSERTIONS = {
    "heartbeats": "The table may be lost",
    "progress": "The table may be lost",
    "quota_use": "Refused requests leave no other row",
    "run_bodies": "It looks like an upload that has not finished",
    "runs": "A run that changed no offer has no commit to compare with",
    "traces": "A request that changed nothing has no commit to compare with",
    "images": "Only with the right digest: a killed process leaves such images",
    "secrets": "Nothing reads a secret with another name",
}


def undetected_table() -> str:
    """Returns the table for docs/data-model.md."""
    return "\n".join(["| table | change | why |", "| --- | --- | --- |", *_lines()])


def _lines() -> Iterator[str]:
    for table in sorted({*UNDETECTED_COLUMNS, *UNDETECTED_DELETIONS, *UNDETECTED_INSERTIONS}):
        columns = UNDETECTED_COLUMNS.get(table, {})
        for reason in dict.fromkeys(columns.values()):
            names = ", ".join(f"`{name}`" for name in columns if columns[name] == reason)
            yield f"| `{table}` | {names} | {reason} |"
        if table in UNDETECTED_DELETIONS:
            yield f"| `{table}` | a deleted row | {UNDETECTED_DELETIONS[table]} |"
        if table in UNDETECTED_INSERTIONS:
            yield f"| `{table}` | a made-up row | {UNDETECTED_INSERTIONS[table]} |"
