"""Undoes runs: plans what an undo would do, accepts it as a run, and executes it."""

import hashlib
from collections.abc import Iterator
from itertools import islice
from typing import NamedTuple, cast
from uuid import UUID, uuid4

from msgspec import Struct
from msgspec.structs import replace

from domain.events import OfferEvent
from domain.ledgers.run_ledger import AcceptedRun, PreparedRun, RunLedger
from domain.refusals import NothingToUndo, RunInProgress, UnknownRun
from domain.runs.run import Run, RunProblem, RunRequest, RunState, Undo
from domain.runs.undo import ChangedOffer, ContentSource, UndoPlan, plan_undo, reversing_events
from domain.store.commit import count_events_of_run, current_head
from domain.store.cursor import Cursor
from domain.store.mapper import decode_event
from domain.store.records.events import find_events
from domain.store.records.runs import find_run, find_undo, update_undone_by
from domain.store.retry import retry_transaction
from domain.values import Origin, ProgressCallback

NOTHING_TO_UNDO = "nothing-to-undo"
OFFERS_PER_READ = 200
"""Number of offers whose earlier contents are read at once."""
_CONFLICT = 409
_NO_BODY = hashlib.sha256().hexdigest()


class UndoPreview(Struct, frozen=True):
    """The plan of an undo as of a position of the ledger."""

    run: Run
    """The run to undo."""
    position: int
    plan: UndoPlan


@retry_transaction
def preview_undo(runs: RunLedger, run_id: UUID) -> UndoPreview:
    """Returns what an undo would do now. Raises UnknownRun, RunInProgress and NothingToUndo."""
    with runs.ledger.read() as tx:
        run = _require_completed(tx, run_id)
        if run.undone_by is not None:
            raise NothingToUndo(f"run {run.undone_by} has undone the run already")
        return UndoPreview(run, current_head(tx).position, _require_plan(runs, tx, run))


def accept_undo(runs: RunLedger, run_id: UUID, origin: Origin) -> AcceptedRun:
    """Creates the run that undoes a run, with a lease for this owner. A repeated undo returns the existing run.

    Raises UnknownRun, NothingToUndo, and RunInProgress if the run or another one of its partner and channel is
    unfinished."""
    run = _find_undoable(runs, run_id)
    return runs.accept(RunRequest(uuid4(), run.partner, Undo(run_id, run.channel), _NO_BODY, 0), origin)


@retry_transaction
def _find_undoable(runs: RunLedger, run_id: UUID) -> Run:
    """Returns a run of which something can be undone, or that has an undo. It reads many rows, so it takes no lock."""
    with runs.ledger.read() as tx:
        run = _require_completed(tx, run_id)
        if find_undo(tx, run.partner, Undo(run_id, run.channel)) is None:
            _require_plan(runs, tx, run)
    return run


def _require_completed(tx: Cursor, run_id: UUID) -> Run:
    run = find_run(tx, run_id)
    if run is None:
        raise UnknownRun
    if not run.is_finished:
        raise RunInProgress(run_id)
    if run.state is not RunState.COMPLETED:
        raise NothingToUndo(f"the run is {run.state} and has changed no offer")
    return run


def _require_plan(runs: RunLedger, tx: Cursor, run: Run) -> UndoPlan:
    """Raises NothingToUndo."""
    offers = runs.ledger.changed_offers(tx, run.run_id)
    if not offers:
        raise NothingToUndo("the run has changed no offer")
    plan = plan_undo(offers)
    if not plan.reversals:
        raise NothingToUndo("all offers that the run changed have changed since")
    return plan


# Execution


@retry_transaction
def count_undone_events(runs: RunLedger, undo: Undo) -> int:
    """Returns the number of events of the run to undo: a measure for the work."""
    with runs.ledger.read() as tx:
        return count_events_of_run(tx, undo.run_id)


def execute_undo(runs: RunLedger, run: Run, undo: Undo, progress: ProgressCallback) -> Run:
    """Stores the opposite events, in one transaction. If nothing is left to undo, the run fails. Raises LeaseLost."""

    def prepare(tx: Cursor) -> PreparedRun:
        undone = _require_completed(tx, undo.run_id)
        plan = _require_plan(runs, tx, undone)
        _mark_undone(tx, undone, run.run_id)
        return PreparedRun(plan.outcome, _appends(tx, plan.reversals, progress))

    try:
        return runs.prepare_and_complete(run, prepare)
    except NothingToUndo as refusal:
        return runs.fail(run, RunProblem(NOTHING_TO_UNDO, "Nothing to undo", _CONFLICT, f"{refusal}."))


def _mark_undone(tx: Cursor, undone: Run, undone_by: UUID) -> None:
    """Stores which run has undone a run. If that run is itself an undo, the run that it had undone is in effect again."""
    run: Run | None = undone
    by: UUID | None = undone_by
    while run is not None:
        update_undone_by(tx, replace(run, undone_by=by))
        by = None if by else run.run_id
        run = find_run(tx, run.input.run_id) if isinstance(run.input, Undo) else None


class _Append(NamedTuple):
    """The events of one offer, as OfferLedger.commit takes them."""

    uid: bytes
    version: int
    events: list[OfferEvent]


def _appends(tx: Cursor, offers: list[ChangedOffer], progress: ProgressCallback) -> Iterator[_Append]:
    """Yields the opposite events of each offer. Only OFFERS_PER_READ contents are in memory at a time."""
    remaining, done = iter(offers), 0
    while chunk := list(islice(remaining, OFFERS_PER_READ)):
        states = find_events(tx, [(offer.offer_id, offer.content_before) for offer in chunk if offer.needs_content])
        for offer in chunk:
            state = states.pop((offer.offer_id, offer.content_before), None)
            content = cast("ContentSource", decode_event(*state)) if state else None
            yield _Append(offer.uid, offer.version, list(reversing_events(offer, content)))
        done += len(chunk)
        progress(done, len(offers))
