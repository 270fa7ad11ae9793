"""Which runs have there been, what became of each offer in one, and which difference did it make?"""

from datetime import datetime
from typing import Any, get_args

import msgspec
from fastapi import APIRouter, Response
from msgspec.structs import replace

from api.console.charts import shares
from api.console.page_context import AuditPage, PageContext
from api.console.pages.compare import Compared, compared
from api.console.pages.offers import CHANNELS
from api.console.rendering import RUNS, render
from api.console.routing import ConsoleRoute
from api.http.problems import not_found
from api.http.query_params import uid
from api.runs.report import item_page, run_document, run_page
from api.runs.schemas import OutcomeName
from domain.runs.run import Run, RunState
from domain.store.commit import span_of_run
from domain.store.records.runs import RunFilter, find_run
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
    wanted = RunFilter(
        partner=context.id("partner") or context.partner,
        channel=Channel(channel) if channel else None,
        # By now, others may have ended.
        state=RunState(state) if state and not context.state.is_past else None,
        accepted_by=context.state.evaluated_at if context.state.is_past else None,
    )
    visible = context.sees(wanted.partner)
    found, cursor = run_page(context.service.ledger, wanted, context.given("cursor"), RUNS_PER_PAGE, visible=visible)
    return render(
        context,
        "runs.html",
        "Runs",
        runs=[_document(context, run) for run in found],
        following=cursor and context.here(cursor=cursor),
        wanted=wanted,
        states=STATES,
        channels=CHANNELS,
        is_filtered=wanted != RunFilter(partner=context.partner, accepted_by=wanted.accepted_by),
    )


@router.get(f"{RUNS}/{{run_id}}")
def show_run(context: AuditPage, run_id: str) -> Response:
    outcome = context.choice("outcome", OUTCOME_CHOICES)
    with context.service.ledger.read() as tx:
        named = uid(run_id)
        run = find_run(tx, named) if named else None
        if run is None or not context.sees(run.partner) or run.accepted_at > context.state.evaluated_at:
            raise not_found("run at this moment" if context.state.is_past else "run")
        run = _then(run, context.state.evaluated_at)
        items, cursor = list[Any](), None
        if run.is_finished:
            items, cursor = item_page(tx, run.run_id, outcome, context.given("cursor"), RUNS_PER_PAGE)
        span = span_of_run(tx, run.run_id) if run.is_finished else None
        made: Compared | None = None
        if span:
            made = compared(tx, PositionRange(span[0] - 1, span[1]), run.partner, span[0] - 1, CHANGES_SHOWN)
    # What its owner has told, it has told now.
    progress = None if run.is_finished or context.state.is_past else context.service.runs.progress(run)
    counts: dict[str, int] = msgspec.to_builtins(run.counts) if run.counts else {}
    return render(
        context,
        "run.html",
        f"{_kind(run)} of {run.partner}",
        run=_document(context, run),
        is_finished=run.is_finished,
        progress=progress,
        counts={kind: count for kind, count in counts.items() if count},
        shares=shares(counts),
        items=items,
        outcome=outcome,
        following=cursor and context.here(cursor=cursor),
        made=made,
        span=span,
    )


def _kind(run: Run) -> str:
    return str(getattr(run.input, "operation", "Offers file"))


def _document(context: PageContext, run: Run) -> dict[str, Any]:
    told = run_document(_then(run, context.state.evaluated_at))
    return told | {"kind": _kind(run), "counts": msgspec.to_builtins(told["counts"]) if told["counts"] else {}}


def _then(run: Run, moment: datetime) -> Run:
    """As far as it had come."""
    if run.finished_at is None or run.finished_at <= moment:
        return run
    return replace(run, state=RunState.RUNNING, finished_at=None, counts=None, messages=[], position=None, problem=None)
