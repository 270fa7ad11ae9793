"""Primary records of runs: written in the transaction of the run's events, and never rebuilt."""

from collections.abc import Iterator
from datetime import date, datetime
from typing import Any, assert_never
from uuid import UUID

import msgspec
from msgspec import Struct

from domain.runs.request_key import request_key
from domain.runs.run import Batch, Lease, OffersFile, OutcomeCounts, Run, RunInput, RunProblem, RunState, Undo
from domain.store.cursor import Cursor
from domain.values import Channel, Operation, Source, from_microseconds, to_microseconds


class RunFilter(Struct, frozen=True):
    """Conditions on runs; None means any value."""

    partner: str | None = None
    channel: Channel | None = None
    operation: Operation | None = None
    state: RunState | None = None
    concurrency_request_id: UUID | None = None
    accepted_by: datetime | None = None
    """Latest time of acceptance."""


class EarlierRun(Struct, frozen=True):
    """The last run of the same request."""

    run: Run
    is_newest: bool
    """False if it is a file that has been undone, or that another file of the partner came after."""


def insert_run(tx: Cursor, run: Run, repeated: UUID | None = None) -> None:
    """`repeated`: as in `request_key`."""
    row = {
        "run_id": str(run.run_id),
        "partner": run.partner,
        "channel": run.channel,
        "request_key": request_key(run.input, run.body_digest, repeated),
        **_input_columns(run.input),
        "source": run.source,
        "actor": run.actor,
        "body_digest": run.body_digest,
        "body_bytes": run.body_bytes,
        "accepted_at": to_microseconds(run.accepted_at),
        "accepted_position": run.accepted_position,
        "traceparent": run.traceparent,
        "reason": run.reason,
        **_changing_columns(run),
    }
    tx.execute(f"INSERT INTO runs ({', '.join(row)}) VALUES ({', '.join('?' * len(row))})", list(row.values()))


def update_run(tx: Cursor, run: Run, fence: int) -> bool:
    """Updates a run if it is unfinished and has that fencing token. Returns whether it was updated."""
    row = _changing_columns(run)
    assignments = ", ".join(f"{column} = ?" for column in row)
    updated = tx.execute(
        f"UPDATE runs SET {assignments} WHERE run_id = ? AND fence = ? AND {_UNFINISHED} RETURNING run_seq",
        (*row.values(), str(run.run_id), fence),
    )
    return updated.fetchone() is not None


def is_lease_held(tx: Cursor, run: Run) -> bool:
    """Returns whether the run is unfinished and its fencing token is still current."""
    row = tx.execute(
        f"SELECT 1 FROM runs WHERE run_id = ? AND fence = ? AND {_UNFINISHED}", (str(run.run_id), run.lease.fence)
    ).fetchone()
    return row is not None


def find_run(tx: Cursor, run_id: UUID, partner: str | None = None) -> Run | None:
    """Returns a run; with `partner`, only a run of that partner."""
    row = tx.execute(
        "SELECT * FROM runs WHERE run_id = ? AND partner = coalesce(?, partner)", (str(run_id), partner)
    ).fetchone()
    return run_of_row(row) if row else None


def find_batch(tx: Cursor, partner: str, batch: Batch) -> EarlierRun | None:
    """Returns the run of the batch with this request id. A failed run does not count: the batch can be sent again."""
    row = tx.execute(
        "SELECT * FROM runs WHERE partner = ? AND channel = ? AND request_key = ? AND state <> 'failed'",
        # The body is not part of the key of a batch.
        (partner, batch.CHANNEL, request_key(batch, body_digest="")),
    ).fetchone()
    return EarlierRun(run_of_row(row), is_newest=True) if row else None


def find_file(tx: Cursor, partner: str, file: OffersFile, body_digest: str) -> EarlierRun | None:
    """Returns the last run of the file with this name and content. A failed run does not count.

    It is the newest file unless it has been undone, or a later one is in effect or unfinished and had a valid record."""
    row = tx.execute(
        "SELECT * FROM runs WHERE partner = ? AND file_date = ? AND file_name = ? AND body_digest = ?"
        " AND state <> 'failed' ORDER BY run_seq DESC LIMIT 1",
        (partner, file.dated.isoformat(), file.name, body_digest),
    ).fetchone()
    if row is None:
        return None
    later = tx.execute(
        "SELECT 1 FROM runs WHERE partner = ? AND file_date IS NOT NULL AND is_counted AND run_seq > ? LIMIT 1",
        (partner, row["run_seq"]),
    ).fetchone()
    return EarlierRun(run_of_row(row), is_newest=later is None and row["undone_by"] is None)


def find_undo(tx: Cursor, partner: str, undo: Undo) -> Run | None:
    """Returns the run that undoes a run, or has undone it. A failed one does not count."""
    row = tx.execute(
        "SELECT * FROM runs WHERE partner = ? AND channel = ? AND request_key = ? AND state <> 'failed'",
        (partner, undo.channel, request_key(undo, body_digest="")),
    ).fetchone()
    return run_of_row(row) if row else None


def update_undone_by(tx: Cursor, run: Run) -> None:
    """Stores which run has undone a finished run, and whether the run still counts."""
    undone_by = str(run.undone_by) if run.undone_by else None
    tx.execute(
        "UPDATE runs SET undone_by = ?, is_counted = ? WHERE run_id = ?", (undone_by, run.is_counted, str(run.run_id))
    )


def find_unfinished(tx: Cursor, partner: str, channel: Channel) -> Run | None:
    row = tx.execute(
        f"SELECT * FROM runs WHERE partner = ? AND channel = ? AND {_UNFINISHED}", (partner, channel)
    ).fetchone()
    return run_of_row(row) if row else None


def overdue_runs(tx: Cursor, now: datetime, latest_end: datetime) -> list[Run]:
    """Returns unfinished runs whose stored leases have expired, or end after `latest_end`, oldest first. Heartbeats may have
    renewed a lease."""
    rows = tx.execute(
        f"SELECT * FROM runs WHERE {_UNFINISHED} AND (lease_until <= ? OR lease_until > ?)",
        (to_microseconds(now), to_microseconds(latest_end)),
    ).fetchall()
    # Sorted here, because there are few: with ORDER BY, SQLite would read all runs to find them.
    return [run_of_row(row) for row in sorted(rows, key=lambda row: row["run_seq"])]


def unfinished_runs_of(tx: Cursor, owner: str) -> list[Run]:
    """Returns unfinished runs whose current or last lease belongs to an owner."""
    return [run_of_row(row) for row in tx.execute(f"SELECT * FROM runs WHERE {_UNFINISHED} AND owner = ?", (owner,))]


def count_used_slots(
    tx: Cursor, partner: str, channel: Channel, operation: Operation, window: tuple[datetime, datetime]
) -> int:
    """Returns the number of slots that runs accepted in a window have used. Its end is excluded: if the clock was ahead,
    runs of later windows are stored already."""
    row = tx.execute(
        "SELECT count(*) AS used FROM runs"
        " WHERE partner = ? AND channel = ? AND operation = ? AND accepted_at >= ? AND accepted_at < ? AND is_counted",
        (partner, channel, operation, *map(to_microseconds, window)),
    ).fetchone()
    return int(row["used"])


def newest_file_date(tx: Cursor, partner: str, latest: date) -> date | None:
    """Returns the newest file-name date, up to `latest`, of the processed offers files that had a valid record."""
    row = tx.execute(
        "SELECT max(file_date) AS newest FROM runs"
        " WHERE partner = ? AND file_date <= ? AND state = 'completed' AND is_counted",
        (partner, latest.isoformat()),
    ).fetchone()
    return date.fromisoformat(row["newest"]) if row["newest"] else None


def select_runs(tx: Cursor, run_filter: RunFilter, after: int, limit: int) -> Iterator[tuple[int, Run]]:
    """Yields runs with their list cursors, newest first. `after` is such a cursor, or 0 for the start."""
    equal = {
        "partner": run_filter.partner,
        "channel": run_filter.channel,
        "operation": run_filter.operation,
        "state": run_filter.state,
        "concurrency_request_id": run_filter.concurrency_request_id and str(run_filter.concurrency_request_id),
    }
    conditions = [f"{column} = ?" for column, value in equal.items() if value is not None]
    values: list[Any] = [value for value in equal.values() if value is not None]
    if run_filter.state not in {None, RunState.COMPLETED}:
        conditions.append("state <> 'completed'")  # so that the index runs_not_completed is used
    if run_filter.accepted_by is not None:
        conditions.append("accepted_at <= ?")
        values.append(to_microseconds(run_filter.accepted_by))
    if after:
        conditions.append("run_seq < ?")
        values.append(after)
    where = f"WHERE {' AND '.join(conditions)}" if conditions else ""
    for row in tx.execute(f"SELECT * FROM runs {where} ORDER BY run_seq DESC LIMIT ?", (*values, limit)):
        yield row["run_seq"], run_of_row(row)


_UNFINISHED = "state IN ('accepted', 'running')"


def _changing_columns(run: Run) -> dict[str, Any]:
    """Returns the columns that change after a run is accepted."""
    return {
        "state": run.state,
        "owner": run.lease.owner,
        "lease_until": to_microseconds(run.lease.until),
        "fence": run.lease.fence,
        "attempts": run.attempts,
        "is_counted": run.is_counted,
        "request_digest": run.request_digest,
        "finished_at": to_microseconds(run.finished_at) if run.finished_at else None,
        "counts": _json(run.counts),
        "messages": _json(run.messages),
        "position": run.position,
        "problem": _json(run.problem),
    }


def _input_columns(run_input: RunInput) -> dict[str, str]:
    match run_input:
        case Batch():
            return {
                "operation": run_input.operation,
                "concurrency_request_id": str(run_input.concurrency_request_id),
            }
        case OffersFile():
            return {"file_name": run_input.name, "file_date": run_input.dated.isoformat()}
        case Undo(run_id=run_id):
            return {"undo_of": str(run_id)}
        case _:
            assert_never(run_input)


def _run_input(row: Any) -> RunInput:
    if row["file_name"] is not None:
        return OffersFile(row["file_name"], date.fromisoformat(row["file_date"]))
    if row["undo_of"] is not None:
        return Undo(UUID(row["undo_of"]), Channel(row["channel"]))
    return Batch(Operation(row["operation"]), UUID(row["concurrency_request_id"]))


def _json(value: Any) -> str | None:
    return None if value is None else msgspec.json.encode(value).decode()


def run_of_row(row: Any) -> Run:
    """Returns the run of a row of `runs`, with all columns."""
    return Run(
        run_id=UUID(row["run_id"]),
        partner=row["partner"],
        input=_run_input(row),
        source=Source(row["source"]),
        actor=row["actor"],
        body_digest=row["body_digest"],
        body_bytes=row["body_bytes"],
        accepted_at=from_microseconds(row["accepted_at"]),
        accepted_position=row["accepted_position"],
        lease=Lease(row["owner"], from_microseconds(row["lease_until"]), row["fence"]),
        state=RunState(row["state"]),
        attempts=row["attempts"],
        request_digest=row["request_digest"],
        finished_at=from_microseconds(row["finished_at"]) if row["finished_at"] is not None else None,
        counts=msgspec.json.decode(row["counts"], type=OutcomeCounts) if row["counts"] else None,
        messages=msgspec.json.decode(row["messages"], type=list[str]),
        position=row["position"],
        problem=msgspec.json.decode(row["problem"], type=RunProblem) if row["problem"] else None,
        traceparent=row["traceparent"],
        reason=row["reason"],
        undone_by=UUID(row["undone_by"]) if row["undone_by"] is not None else None,
    )
