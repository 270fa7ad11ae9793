"""Which runs have there been? Primary records: written with the events of the run, never rebuilt."""

import zlib
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from domain.run import Outcome, Run, RunState
from domain.store.cursor import Cursor
from domain.values import Channel, Operation, Source, from_microseconds, to_microseconds

_FASTEST = 1


def insert_run(tx: Cursor, run: Run) -> None:
    tx.execute(
        "INSERT INTO runs (run_id, partner, channel, operation, source, actor, concurrency_request_id,"
        " request_digest, accepted_at, finished_at, state, uses_slot, outcome)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            str(run.run_id),
            run.partner,
            run.channel,
            run.operation,
            run.source,
            run.actor,
            str(run.concurrency_request_id),
            run.request_digest,
            to_microseconds(run.accepted_at),
            to_microseconds(run.finished_at),
            run.state,
            run.uses_slot,
            # One compressed record per run, not a row per unchanged offer.
            zlib.compress(msgspec.json.encode(run.outcome), _FASTEST),
        ),
    )


def find_run(tx: Cursor, partner: str, channel: Channel, concurrency_request_id: UUID) -> Run | None:
    row = tx.execute(
        "SELECT * FROM runs WHERE partner = ? AND channel = ? AND concurrency_request_id = ?",
        (partner, channel, str(concurrency_request_id)),
    ).fetchone()
    return _run(row) if row else None


def count_slots(tx: Cursor, partner: str, channel: Channel, operation: Operation, since: datetime) -> int:
    """How many slots the runs accepted at or after `since` have used."""
    row = tx.execute(
        "SELECT count(*) AS used FROM runs"
        " WHERE partner = ? AND channel = ? AND operation = ? AND accepted_at >= ? AND uses_slot",
        (partner, channel, operation, to_microseconds(since)),
    ).fetchone()
    return int(row["used"])


def _run(row: Any) -> Run:
    return Run(
        run_id=UUID(row["run_id"]),
        partner=row["partner"],
        channel=Channel(row["channel"]),
        operation=Operation(row["operation"]),
        source=Source(row["source"]),
        actor=row["actor"],
        concurrency_request_id=UUID(row["concurrency_request_id"]),
        request_digest=row["request_digest"],
        accepted_at=from_microseconds(row["accepted_at"]),
        finished_at=from_microseconds(row["finished_at"]),
        state=RunState(row["state"]),
        outcome=msgspec.json.decode(zlib.decompress(row["outcome"]), type=Outcome),
    )
