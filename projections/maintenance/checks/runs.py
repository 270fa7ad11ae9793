"""Compares the rows of runs with themselves, their bodies, their outcomes and their commits."""

from collections.abc import Iterator
from typing import Any
from uuid import UUID

from domain.runs.file_names import parse_file_name
from domain.runs.request_key import request_key
from domain.runs.run import OUTCOMES, Batch, OffersFile, Run, RunState, Undo
from domain.store.commit import commit_around, current_head
from domain.store.cursor import Cursor
from domain.store.records.runs import find_run, run_of_row
from domain.values import Operation
from projections.maintenance.checks.run_contents import (
    CHANGING,
    UNREADABLE_VALUES,
    RecordedChanges,
    StoredBody,
    StoredOutcome,
    commits_of_runs,
    recorded_changes,
    stored_bodies,
    stored_outcomes,
)
from projections.maintenance.table_diff import Difference

RUNS_PER_READ = 200
LOWEST_ID = -(1 << 63)

Wrong = Iterator[tuple[str, Any, Any]]
"""Contradictions of a run: what differs, the found value, the expected value."""


def broken_runs(tx: Cursor) -> Iterator[Difference]:
    """Yields a difference for each run with a contradiction."""
    checker, after = _Checker(tx), LOWEST_ID
    while rows := tx.execute(
        "SELECT * FROM runs WHERE run_seq > ? ORDER BY run_seq LIMIT ?", (after, RUNS_PER_READ)
    ).fetchall():
        outcomes = stored_outcomes(tx, rows[0]["run_seq"], rows[-1]["run_seq"])
        commits = commits_of_runs(tx, [row["run_id"] for row in rows])
        after = rows[-1]["run_seq"]
        for row in rows:
            try:
                wrong = list(checker.check(row, outcomes.get(row["run_seq"]), commits.get(row["run_id"], [])))
            except UNREADABLE_VALUES as error:
                yield Difference(f"runs {row['run_id']}", {"unreadable": str(error)}, None)
                continue
            if wrong:
                found, expected = ({entry[0]: entry[side] for entry in wrong} for side in (1, 2))
                yield Difference(f"runs {row['run_id']}", found, expected)


class _Checker:
    """Checks runs in the order of their acceptance."""

    def __init__(self, tx: Cursor) -> None:
        self._tx = tx
        self._bodies = stored_bodies(tx)
        self._partners = {row["name"] for row in tx.execute("SELECT name FROM partners").fetchall()}
        self._newest, self._accepted_position = current_head(tx).position, 0

    def check(self, row: Any, outcome: StoredOutcome | None, commits: list[Any]) -> Wrong:
        run = run_of_row(row)
        yield from _wrong_input(row, run)
        yield from _wrong_end(row, run)
        yield from self._wrong_place(run)
        yield from _wrong_undo(self._tx, run)
        yield from self._wrong_commit(run, outcome or StoredOutcome(), commits)
        if run.is_finished:
            yield from _wrong_outcome(run, outcome)
        else:
            yield from _wrong_body(run, self._bodies.get(row["run_id"]))
        if not self._has_key(row, run):
            yield "request_key", row["request_key"], request_key(run.input, run.body_digest)
        if run.partner not in self._partners:
            yield "partner", run.partner, "a registered partner"

    def _wrong_place(self, run: Run) -> Wrong:
        """Positions of runs are ends of commits, and do not decrease in the order of acceptance."""
        positions = [self._accepted_position, run.accepted_position, self._newest]
        if run.position is not None:
            positions.insert(2, run.position)
        if positions != sorted(positions) or any(commit_around(self._tx, position) for position in positions):
            found = {"acceptedPosition": run.accepted_position, "position": run.position}
            yield "positions", found, f"ends of commits, ascending from {self._accepted_position} to {self._newest}"
        else:
            self._accepted_position = run.accepted_position

    def _wrong_commit(self, run: Run, outcome: StoredOutcome, commits: list[Any]) -> Wrong:
        changes = RecordedChanges()
        if len(commits) > (run.state is RunState.COMPLETED):
            yield "commits", len(commits), int(run.state is RunState.COMPLETED)
        for commit in commits[:1]:
            for name in ("partner", "actor", "source", "traceparent", "reason"):
                if getattr(run, name) != commit[name]:
                    yield name, getattr(run, name), commit[name]
            last = commit["first_position"] + commit["event_count"] - 1
            if run.position != last:
                yield "position", run.position, last
            if run.accepted_position >= commit["first_position"]:
                yield "accepted_position", run.accepted_position, f"less than {commit['first_position']}"
            changes = recorded_changes(self._tx, commit["commit_id"], run)
        counts = {kind: outcome.counts[kind] for kind in CHANGING if outcome.counts[kind]}
        if counts != changes.counts:
            yield "changes", counts, dict(changes.counts)
        elif outcome.changed != changes.changed:
            yield "changed offers", "others", "those of the events"

    def _has_key(self, row: Any, run: Run) -> bool:
        """A file that takes effect again has the id of its run before in its key."""
        key = request_key(run.input, run.body_digest)
        if isinstance(run.input, Batch | Undo) or row["request_key"] == key:
            return bool(row["request_key"] == key)
        repeated = row["request_key"].removeprefix(f"{key} ")
        try:
            before = find_run(self._tx, UUID(repeated))
        except UNREADABLE_VALUES:
            return False
        return before is not None and (before.input, before.partner) == (run.input, run.partner)


def _wrong_undo(tx: Cursor, run: Run) -> Wrong:
    """A completed undo is the one that its run names, until it is undone. Only an undo has a reason."""
    if (run.reason is not None) is not isinstance(run.input, Undo):
        yield "reason", run.reason, "a reason" if isinstance(run.input, Undo) else None
    if isinstance(run.input, Undo):
        undone = find_run(tx, run.input.run_id, run.partner)
        if undone is None or undone.channel is not run.channel or undone.state is not RunState.COMPLETED:
            yield "undo_of", run.input.run_id, "a completed run of the same partner and channel"
        elif run.state is RunState.COMPLETED and (undone.undone_by == run.run_id) is (run.undone_by is not None):
            expected = run.run_id if run.undone_by is None else None
            yield "undone run", {"undone_by": undone.undone_by}, {"undone_by": expected}
    if run.undone_by is not None:
        undo = find_run(tx, run.undone_by)
        is_undo = undo is not None and isinstance(undo.input, Undo) and undo.input.run_id == run.run_id
        if not is_undo or (undo and undo.state is not RunState.COMPLETED):
            yield "undone_by", run.undone_by, "the completed undo of this run"


def _wrong_input(row: Any, run: Run) -> Wrong:
    """Columns that follow from the others."""
    expected: dict[str, Any] = {"run_id": str(run.run_id), "channel": run.channel, "is_counted": run.is_counted}
    match run.input:
        case OffersFile(name=name):
            parts = parse_file_name(name)
            dated = parts.dated.isoformat() if parts else None
            expected |= {"file_date": dated, "operation": None, "concurrency_request_id": None}
            if run.state is RunState.COMPLETED:
                expected["request_digest"] = run.body_digest
        case Batch(operation=operation, concurrency_request_id=request_id):
            expected |= {"concurrency_request_id": str(request_id), "file_date": None}
            if operation is not Operation.SYNCHRONIZE and run.counts and run.counts.paused:
                yield "operation", operation, Operation.SYNCHRONIZE
        case Undo():
            expected |= {"file_date": None, "operation": None, "concurrency_request_id": None, "body_bytes": 0}
            if run.state is RunState.COMPLETED:
                expected["request_digest"] = run.body_digest
    for name, value in expected.items():
        if row[name] != value:
            yield name, row[name], value
    if run.lease.fence < 1 or run.attempts < 0 or run.body_bytes < 0:
        found = {"fence": run.lease.fence, "attempts": run.attempts, "bodyBytes": run.body_bytes}
        yield "numbers", found, "not negative"


_PRESENT = {
    RunState.COMPLETED: {"request_digest", "finished_at", "counts", "position"},
    RunState.FAILED: {"finished_at", "problem"},
}
_AT_THE_END = ("request_digest", "finished_at", "counts", "position", "problem")


def _wrong_end(row: Any, run: Run) -> Wrong:
    """Columns that have a value only in a finished run."""
    for name in _AT_THE_END:
        is_expected = name in _PRESENT.get(run.state, ())
        if (row[name] is not None) != is_expected:
            yield name, row[name], "a value" if is_expected else None
    if run.messages and run.state is not RunState.COMPLETED:
        yield "messages", run.messages, []


def _wrong_outcome(run: Run, outcome: StoredOutcome | None) -> Wrong:
    stored = outcome or StoredOutcome()
    if stored.error:
        yield "outcome", stored.error, None
    found = {kind: getattr(run.counts, kind) if run.counts else 0 for kind in OUTCOMES}
    expected = {kind: stored.counts[kind] for kind in OUTCOMES}
    if found != expected:
        yield "counts", found, expected


def _wrong_body(run: Run, body: StoredBody | None) -> Wrong:
    found = (body.digest, body.size) if body and body.is_complete else None
    expected = None if isinstance(run.input, Undo) else (run.body_digest, run.body_bytes)
    if found != expected:
        yield "body", found, expected
