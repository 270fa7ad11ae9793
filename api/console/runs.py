"""Which runs have there been, what became of each offer in one, and which difference did it make?"""

from datetime import datetime
from itertools import islice
from typing import Any

import msgspec
from fastapi import APIRouter, Response
from msgspec.structs import replace

from api import cursors
from api.console.charts import shares
from api.console.compare import Compared, compared
from api.console.console_route import ConsoleRoute
from api.console.inventory import CHANNELS
from api.console.rendering import RUNS, render
from api.console.visits import Auditing, Visit
from api.problems import not_found
from api.run_report import run_document, run_items
from api.schemas.query import uid
from domain.run import Run, RunState
from domain.store.commit import span_of_run
from domain.store.runs import RunFilter, find_run, select_runs
from domain.values import Channel
from projections.net_changes import Between

PAGE = 50
STATES = tuple(map(str, RunState))
OUTCOMES = ("created", "updated", "unchanged", "paused", "failed", "deleted", "restored", "discrepancy", "unknown")
CHANGES_SHOWN = 20

router = APIRouter(include_in_schema=False, route_class=ConsoleRoute)


@router.get(RUNS)
def list_runs(visit: Auditing) -> Response:
    state, channel = visit.choice("state", STATES), visit.choice("channel", CHANNELS)
    wanted = RunFilter(
        partner=visit.id("partner") or visit.partner,
        channel=Channel(channel) if channel else None,
        # By now, others may have ended.
        state=RunState(state) if state and not visit.moment.is_past else None,
        accepted_by=visit.moment.at if visit.moment.is_past else None,
    )
    after = cursors.decode(wanted, visit.given("cursor"))
    found: list[tuple[int, Run]] = []
    if visit.partner in {None, wanted.partner}:
        with visit.service.ledger.reading() as tx:
            found = list(select_runs(tx, wanted, after, PAGE + 1))
    more = found[PAGE - 1][0] if len(found) > PAGE else None
    following = visit.here(cursor=cursors.encode(wanted, more)) if more else None
    return render(
        visit,
        "runs.html",
        "Runs",
        runs=[_document(visit, run) for _, run in found[:PAGE]],
        following=following,
        wanted=wanted,
        states=STATES,
        channels=CHANNELS,
        is_filtered=wanted != RunFilter(partner=visit.partner, accepted_by=wanted.accepted_by),
    )


@router.get(f"{RUNS}/{{run_id}}")
def show_run(visit: Auditing, run_id: str) -> Response:
    outcome = visit.choice("outcome", OUTCOMES)
    with visit.service.ledger.reading() as tx:
        named = uid(run_id)
        run = find_run(tx, named) if named else None
        if run is None or visit.partner not in {None, run.partner} or run.accepted_at > visit.moment.at:
            raise not_found("run at this moment" if visit.moment.is_past else "run")
        run = _then(run, visit.moment.at)
        after = cursors.decode(("items", run.run_id, outcome), visit.given("cursor"))
        items = list(islice(run_items(tx, run.run_id, outcome, after), PAGE + 1)) if run.is_finished else []
        span = span_of_run(tx, run.run_id) if run.is_finished else None
        made: Compared | None = None
        if span:
            made = compared(tx, Between(span[0] - 1, span[1]), run.partner, span[0] - 1, CHANGES_SHOWN)
    # What its owner has told, it has told now.
    progress = None if run.is_finished or visit.moment.is_past else visit.service.runs.progress(run)
    counts: dict[str, int] = msgspec.to_builtins(run.counts) if run.counts else {}
    following = None
    if len(items) > PAGE:
        following = visit.here(cursor=cursors.encode(("items", run.run_id, outcome), items[PAGE][0]))
    return render(
        visit,
        "run.html",
        f"{_kind(run)} of {run.partner}",
        run=_document(visit, run),
        is_finished=run.is_finished,
        progress=progress,
        counts={kind: count for kind, count in counts.items() if count},
        shares=shares(counts),
        items=[item for _, item in items[:PAGE]],
        outcome=outcome,
        following=following,
        made=made,
        span=span,
    )


def _kind(run: Run) -> str:
    return str(getattr(run.asked, "operation", "Offers file"))


def _document(visit: Visit, run: Run) -> dict[str, Any]:
    told = run_document(_then(run, visit.moment.at))
    return told | {"kind": _kind(run), "counts": msgspec.to_builtins(told["counts"]) if told["counts"] else {}}


def _then(run: Run, moment: datetime) -> Run:
    """As far as it had come."""
    if run.finished_at is None or run.finished_at <= moment:
        return run
    return replace(run, state=RunState.RUNNING, finished_at=None, counts=None, messages=[], position=None, problem=None)
