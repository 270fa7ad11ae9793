"""Operators undo runs."""

from http import HTTPStatus
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path, Query, Request, Response

from api.dependencies.authentication import ServiceDep, origin_of
from api.dependencies.roles import Operator
from api.http.ledger_position import set_position
from api.http.paths import RUNS_PATH, run_path
from api.http.problems import Problem, not_found
from api.http.query_params import uid
from api.http.replies import json_response
from api.parsing.json_body import openapi_request_body, read_body
from api.runs.prefer import parse_wait_preference
from api.runs.report import run_document, undo_plan_document
from api.runs.schemas import RunReply, UndoPlanReply, UndoQuery, UndoRequest
from api.runs.server_runtime import ServerRuntime, server_runtime_of
from api.runs.submission import PREFER
from api.server.retry_route import RetryingRoute
from domain.ledgers.run_ledger import AcceptedRun
from domain.ledgers.undo_ledger import accept_undo, preview_undo
from domain.runs.run import Run, RunState
from domain.values import Origin, Source

UNDO_PATH = f"{RUNS_PATH}/{{runId}}/undo"

router = APIRouter(tags=["runs"], route_class=RetryingRoute)


@router.post(
    UNDO_PATH,
    responses={
        200: {
            "model": RunReply | UndoPlanReply,
            "description": "The finished undo, or with `plan=true` the plan of it",
        },
        202: {"model": RunReply, "description": "Accepted. `Location` is the run of the undo"},
    },
    openapi_extra=openapi_request_body(UndoRequest) | {"parameters": [PREFER]},
)
async def undo_run(
    request: Request,
    service: ServiceDep,
    caller: Operator,
    run_id: Annotated[str, Path(alias="runId")],
    query: Annotated[UndoQuery, Query()],
) -> Response:
    """Undo a run: each offer that the run changed last gets back the state that it had before. The undo is a run, too, and can be
    undone. Offers that have changed since are kept as they are."""
    parsed_id, runtime = uid(run_id), server_runtime_of(request.app)
    body = await read_body(request, UndoRequest)
    if parsed_id is None:
        raise not_found("run")
    if query.plan == "true":
        preview = await runtime.threads.run_read(preview_undo, service.runs, parsed_id)
        set_position(request, preview.position)
        return json_response(undo_plan_document(preview))
    wait = parse_wait_preference(request.headers.getlist("Prefer"), service.settings.wait_seconds)
    headers = {"Preference-Applied": wait.applied} if wait.applied else {}
    origin = origin_of(request, caller, Source.OPERATOR)._replace(reason=body.reason)
    accepted = await start_undo(runtime, parsed_id, origin)
    if accepted.replayed:
        return _answer(request, accepted.run, {"Idempotency-Replayed": "true"} if accepted.run.is_finished else {})
    return _answer(request, await runtime.supervisor.wait(accepted.run, wait.seconds), headers)


async def start_undo(runtime: ServerRuntime, run_id: UUID, origin: Origin) -> AcceptedRun:
    """Accepts the undo of a run, and starts it. Raises what `accept_undo` raises."""
    accepted = await runtime.threads.run_write(accept_undo, runtime.service.runs, run_id, origin)
    # After a lost connection, this request itself may have accepted the run, and then repeats it.
    if not accepted.run.is_finished and accepted.run.lease.owner == runtime.service.runs.owner:
        runtime.supervisor.start(accepted.run)
    return accepted


def _answer(request: Request, run: Run, headers: dict[str, str]) -> Response:
    """Raises Problem for a failed run."""
    if run.state is RunState.FAILED and run.problem:
        raise Problem(HTTPStatus(run.problem.status), run.problem.type, run.problem.detail)
    set_position(request, run.accepted_position if run.position is None else run.position)
    if not run.is_finished:
        return json_response(run_document(run), HTTPStatus.ACCEPTED, headers | {"Location": run_path(run.run_id)})
    return json_response(run_document(run), headers=headers)
