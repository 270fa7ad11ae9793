"""Which runs have there been? Primary records: written with the events of the run, never rebuilt."""

from collections.abc import Iterator
from datetime import date, datetime
from typing import Any, assert_never
from uuid import UUID

import msgspec
from msgspec import Struct

from domain.runs.run import Batch, Lease, OffersFile, OutcomeCounts, Run, RunInput, RunProblem, RunState, request_key
from domain.store.cursor import Cursor
from domain.values import Channel, Operation, Source, from_microseconds, to_microseconds


class RunFilter(Struct, frozen=True):
    """Which runs are wanted; None: of any."""

    partner: str | None = None
    channel: Channel | None = None
    operation: Operation | None = None
    state: RunState | None = None
    concurrency_request_id: UUID | None = None
    accepted_by: datetime | None = None
    """At the latest."""


def insert_run(tx: Cursor, run: Run) -> None:
    row = {
        "run_id": str(run.run_id),
        "partner": run.partner,
        "channel": run.channel,
        "request_key": request_key(run.input, run.body_digest),
        **_asked_columns(run.input),
        "source": run.source,
        "actor": run.actor,
        "body_digest": run.body_digest,
        "body_bytes": run.body_bytes,
        "accepted_at": to_microseconds(run.accepted_at),
        "accepted_position": run.accepted_position,
        **_state(run),
    }
    tx.execute(f"INSERT INTO runs ({', '.join(row)}) VALUES ({', '.join('?' * len(row))})", list(row.values()))


def update_run(tx: Cursor, run: Run, fence: int) -> bool:
    """Whether the run was still unfinished and at that fence; nothing is written if not."""
    row = _state(run)
    assignments = ", ".join(f"{column} = ?" for column in row)
    written = tx.execute(
        f"UPDATE runs SET {assignments} WHERE run_id = ? AND fence = ? AND {_UNFINISHED} RETURNING run_seq",
        (*row.values(), str(run.run_id), fence),
    )
    return written.fetchone() is not None


def is_held(tx: Cursor, run: Run) -> bool:
    """Whether the run is still unfinished and at its fence."""
    held = tx.execute(
        f"SELECT 1 FROM runs WHERE run_id = ? AND fence = ? AND {_UNFINISHED}", (str(run.run_id), run.lease.fence)
    )
    return held.fetchone() is not None


def find_run(tx: Cursor, run_id: UUID) -> Run | None:
    row = tx.execute("SELECT * FROM runs WHERE run_id = ?", (str(run_id),)).fetchone()
    return _run(row) if row else None


def find_request(tx: Cursor, partner: str, channel: Channel, key: str) -> Run | None:
    """The run of the request with this key; a failed one has given it back."""
    row = tx.execute(
        "SELECT * FROM runs WHERE partner = ? AND channel = ? AND request_key = ? AND state <> 'failed'",
        (partner, channel, key),
    ).fetchone()
    return _run(row) if row else None


def find_unfinished(tx: Cursor, partner: str, channel: Channel) -> Run | None:
    row = tx.execute(
        f"SELECT * FROM runs WHERE partner = ? AND channel = ? AND {_UNFINISHED}", (partner, channel)
    ).fetchone()
    return _run(row) if row else None


def overdue_runs(tx: Cursor, now: datetime) -> list[Run]:
    """Unfinished runs whose leases have run out unless they were renewed, the oldest first."""
    rows = tx.execute(
        f"SELECT * FROM runs WHERE {_UNFINISHED} AND lease_until <= ?", (to_microseconds(now),)
    ).fetchall()
    # There are few of them; sorted by SQLite, it would read all runs to find them.
    return [_run(row) for row in sorted(rows, key=lambda row: row["run_seq"])]


def runs_of(tx: Cursor, owner: str) -> list[Run]:
    """Unfinished runs that an owner holds, or held last."""
    return [_run(row) for row in tx.execute(f"SELECT * FROM runs WHERE {_UNFINISHED} AND owner = ?", (owner,))]


def count_slots(tx: Cursor, partner: str, channel: Channel, operation: Operation, since: datetime) -> int:
    """How many slots the runs accepted at or after `since` have used."""
    row = tx.execute(
        "SELECT count(*) AS used FROM runs"
        " WHERE partner = ? AND channel = ? AND operation = ? AND accepted_at >= ? AND is_counted",
        (partner, channel, operation, to_microseconds(since)),
    ).fetchone()
    return int(row["used"])


def newest_file_date(tx: Cursor, partner: str) -> date | None:
    """The latest date in the name of an offers file that has been processed, and had anything in order."""
    row = tx.execute(
        "SELECT max(file_date) AS newest FROM runs"
        " WHERE partner = ? AND file_date IS NOT NULL AND state = 'completed' AND is_counted",
        (partner,),
    ).fetchone()
    return date.fromisoformat(row["newest"]) if row["newest"] else None


def select_runs(tx: Cursor, wanted: RunFilter, after: int, limit: int) -> Iterator[tuple[int, Run]]:
    """Runs with their places in the list, the newest first; `after` is such a place, or 0 for the start."""
    given = {
        "partner": wanted.partner,
        "channel": wanted.channel,
        "operation": wanted.operation,
        "state": wanted.state,
        "concurrency_request_id": wanted.concurrency_request_id and str(wanted.concurrency_request_id),
    }
    conditions = [f"{column} = ?" for column, value in given.items() if value is not None]
    values: list[Any] = [value for value in given.values() if value is not None]
    if wanted.state not in {None, RunState.COMPLETED}:
        conditions.append("state <> 'completed'")  # lets it use runs_not_completed
    if wanted.accepted_by is not None:
        conditions.append("accepted_at <= ?")
        values.append(to_microseconds(wanted.accepted_by))
    if after:
        conditions.append("run_seq < ?")
        values.append(after)
    where = f"WHERE {' AND '.join(conditions)}" if conditions else ""
    for row in tx.execute(f"SELECT * FROM runs {where} ORDER BY run_seq DESC LIMIT ?", (*values, limit)):
        yield row["run_seq"], _run(row)


_UNFINISHED = "state IN ('accepted', 'running')"


def _state(run: Run) -> dict[str, Any]:
    """The columns that change in a run's life."""
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


def _asked_columns(asked: RunInput) -> dict[str, str]:
    match asked:
        case Batch():
            return {
                "operation": asked.operation,
                "concurrency_request_id": str(asked.concurrency_request_id),
            }
        case OffersFile():
            return {"file_name": asked.name, "file_date": asked.dated.isoformat()}
        case _:
            assert_never(asked)


def _asked(row: Any) -> RunInput:
    if row["file_name"] is not None:
        return OffersFile(row["file_name"], date.fromisoformat(row["file_date"]))
    return Batch(Operation(row["operation"]), UUID(row["concurrency_request_id"]))


def _json(value: Any) -> str | None:
    return None if value is None else msgspec.json.encode(value).decode()


def _run(row: Any) -> Run:
    return Run(
        run_id=UUID(row["run_id"]),
        partner=row["partner"],
        input=_asked(row),
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
    )
