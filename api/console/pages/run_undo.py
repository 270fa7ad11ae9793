"""The undo of a run on its page: what it would do, and the form that starts it."""

from http import HTTPStatus
from typing import Any

from fastapi import APIRouter, Response
from fastapi.responses import RedirectResponse
from msgspec.structs import asdict

from api.console.page_context import OperatorForm, PageContext
from api.console.rendering import RUNS
from api.console.routing import ConsoleRoute
from api.dependencies.roles import OPERATOR_ONLY
from api.http.problems import not_found
from api.http.query_params import uid
from api.runs.report import undo_plan_document
from api.runs.server_runtime import server_runtime_of
from api.runs.undo_routes import start_undo
from domain.ledgers.undo_ledger import preview_undo
from domain.refusals import NothingToUndo, RunInProgress
from domain.runs.run import Run, RunState
from domain.values import MAX_REASON_LENGTH

ITEMS_SHOWN = 20
UNDO = "undo"
"""The parameter that shows the plan and the form. Without it, no plan is made: a run may have changed very many offers."""

router = APIRouter(include_in_schema=False, route_class=ConsoleRoute)


def offered_undo(context: PageContext, run: Run) -> dict[str, Any] | None:
    """Returns what the page says about the undo of a run; None if it offers none."""
    can_undo = context.has_role(*OPERATOR_ONLY) and not context.state.is_past
    if not can_undo or run.state is not RunState.COMPLETED or run.undone_by is not None:
        return None
    offered: dict[str, Any] = {"plan": None, "obstacle": None, "longest_reason": MAX_REASON_LENGTH}
    if context.param(UNDO):
        try:
            plan = undo_plan_document(preview_undo(context.service.runs, run.run_id))
            offered["plan"] = plan | {"counts": asdict(plan["counts"]), "items": plan["items"][:ITEMS_SHOWN]}
        except (NothingToUndo, RunInProgress) as refusal:
            offered["obstacle"] = f"{refusal}."
    return offered


@router.post(f"{RUNS}/{{run_id}}/undo")
async def submit_undo(run_id: str, submission: OperatorForm) -> Response:
    parsed_id = uid(run_id)
    if parsed_id is None:
        raise not_found("run")
    runtime = server_runtime_of(submission.context.request.app)
    accepted = await start_undo(runtime, parsed_id, submission.origin_with_reason)
    return RedirectResponse(f"{RUNS}/{accepted.run.run_id}", HTTPStatus.SEE_OTHER)
