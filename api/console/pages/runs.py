"""The pages Runs and one run: state, progress, counts, the changes that the run made, and the outcome of each item."""

from datetime import datetime
from typing import Any, get_args
from uuid import UUID

import msgspec
from fastapi import APIRouter, Response
from msgspec.structs import replace

from api.audit.diff_routes import DiffRequest
from api.console.charts import shares
from api.console.page_context import AuditPage, PageContext
from api.console.pages.compare import ComparisonPage, compare_states
from api.console.pages.offers import CHANNELS
from api.console.pages.run_undo import offered_undo
from api.console.rendering import RUNS, render
from api.console.routing import ConsoleRoute
from api.http.as_of import AsOf
from api.http.problems import not_found
from api.http.query_params import uid
from api.runs.report import item_page, run_document, run_page
from api.runs.schemas import OutcomeName
from domain.runs.run import Run, RunState, Undo
from domain.store.commit import positions_of_run
from domain.store.cursor import Cursor
from domain.store.records.runs import RunFilter, find_run, find_undo
from domain.values import Channel
from projections.audit.diff import PositionRange

RUNS_PER_PAGE = 50
STATES = tuple(map(str, RunState))
OUTCOME_CHOICES: tuple[str, ...] = get_args(OutcomeName)
CHANGES_SHOWN = 20

router = APIRouter(include_in_schema=False, route_class=ConsoleRoute)


@router.get(RUNS)
def show_runs(context: AuditPage) -> Response:
    state, channel = context.choice("state", STATES), context.choice("channel", CHANNELS)
    run_filter = RunFilter(
        partner=context.partner_filter,
        channel=Channel(channel) if channel else None,
        # The stored states are the present ones: they cannot filter the runs of a past state.
        state=RunState(state) if state and not context.state.is_past else None,
        accepted_by=context.state.evaluated_at if context.state.is_past else None,
    )
    visible = context.sees(run_filter.partner)
    runs, cursor = run_page(context.service.ledger, run_filter, context.param("cursor"), RUNS_PER_PAGE, visible=visible)
    return render(
        context,
        "runs.html",
        "Runs",
        runs=[_with_kind(_as_of(context, run)) for run in runs],
        next_page=cursor and context.this_page(cursor=cursor),
        filter=run_filter,
        states=STATES,
        channels=CHANNELS,
        is_filtered=run_filter != RunFilter(partner=context.partner, accepted_by=run_filter.accepted_by),
    )


@router.get(f"{RUNS}/{{run_id}}")
def show_run(context: AuditPage, run_id: str) -> Response:
    outcome = context.choice("outcome", OUTCOME_CHOICES)
    with context.service.ledger.read() as tx:
        parsed_id = uid(run_id)
        run = find_run(tx, parsed_id, context.partner) if parsed_id else None
        if run is None or _is_later(context, run.accepted_at):
            raise not_found("run in this state" if context.state.is_past else "run")
        run = _as_of(context, run, _undo_of(tx, context, run))
        items, cursor = list[Any](), None
        if run.is_finished:
            requested, ledger = context.param("cursor"), context.service.ledger
            items, cursor = item_page(ledger, tx, run.run_id, outcome, requested, RUNS_PER_PAGE)
        span = positions_of_run(tx, run.run_id) if run.is_finished else None
        changes: ComparisonPage | None = None
        if span:
            before = span[0] - 1
            request = DiffRequest(AsOf(position=before), AsOf(position=span[1]), run.partner)
            changes = compare_states(tx, PositionRange(before, span[1]), request, before, CHANGES_SHOWN)
    # Progress is not stored over time, so a past state has none.
    progress = None if run.is_finished or context.state.is_past else context.service.runs.progress(run)
    counts: dict[str, int] = msgspec.to_builtins(run.counts) if run.counts else {}
    return render(
        context,
        "run.html",
        f"{_kind(run)} of {run.partner}",
        run=_with_kind(run),
        undo=offered_undo(context, run),
        is_finished=run.is_finished,
        progress=progress,
        counts={kind: count for kind, count in counts.items() if count},
        shares=shares(counts),
        items=items,
        outcome=outcome,
        next_page=cursor and context.this_page(cursor=cursor),
        changes=changes,
        span=span,
    )


def _kind(run: Run) -> str:
    return "Undo" if isinstance(run.input, Undo) else str(getattr(run.input, "operation", "Offers file"))


def _with_kind(run: Run) -> dict[str, Any]:
    document = run_document(run)
    counts = msgspec.to_builtins(document["counts"]) if document["counts"] else {}
    return document | {"kind": _kind(run), "counts": counts}


def _is_later(context: PageContext, time: datetime) -> bool:
    """Returns whether a time is after the viewed state. No time is after the present: a clock may have been ahead."""
    return context.state.is_past and time > context.state.evaluated_at


def _undo_of(tx: Cursor, context: PageContext, run: Run) -> UUID | None:
    """Returns the run that had undone the run in the viewed state."""
    undo = find_undo(tx, run.partner, Undo(run.run_id, run.channel))
    if undo is None or undo.finished_at is None or _is_later(context, undo.finished_at):
        return None
    return None if _undo_of(tx, context, undo) else undo.run_id


def _as_of(context: PageContext, run: Run, undone_by: UUID | None = None) -> Run:
    """Returns the run as it was in the viewed state: unfinished, if it finished later. `undone_by`: as in the past state."""
    run = replace(run, undone_by=undone_by) if context.state.is_past else run
    if run.finished_at is None or not _is_later(context, run.finished_at):
        return run
    return replace(run, state=RunState.RUNNING, finished_at=None, counts=None, messages=[], position=None, problem=None)
