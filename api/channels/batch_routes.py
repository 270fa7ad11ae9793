"""The call of the batch document: a partner sends a batch of offers."""

from functools import partial
from http import HTTPStatus
from typing import Any

from fastapi import APIRouter, Request, Response

from api.channels.batch_replies import ALL_FAILED, accepted_reply, finished_reply_without_items
from api.channels.batch_reply_schemas import AcceptedReply, BatchReply
from api.dependencies.authentication import ServiceDep, origin_of
from api.dependencies.roles import PartnerCaller
from api.http.content_negotiation import content_coding, require_json
from api.http.paths import BATCH_PATH
from api.http.problems import Problem
from api.http.query_params import no_parameters
from api.intake.batch_schemas import BatchRequest
from api.parsing.content_coding import CODINGS
from api.parsing.json_body import openapi_request_body
from api.runs.acceptance import RunSender
from api.runs.server_runtime import server_runtime_of
from api.runs.submission import PREFER, Replies, answer_with_run, new_upload, receive_body
from api.runs.uploads.upload_place import enter_upload
from domain.runs.run import Run
from domain.values import Source

router = APIRouter(tags=["batch"])


@router.post(
    BATCH_PATH,
    responses={
        200: {"model": BatchReply},
        202: {"model": AcceptedReply, "description": "Accepted. `Location` is the run, which reports the outcome"},
    },
    openapi_extra={**openapi_request_body(BatchRequest), "parameters": [PREFER]},
)
async def send_batch(request: Request, service: ServiceDep, caller: PartnerCaller) -> Response:
    """Send a batch of offers. `Synchronize` pauses all active offers that are not in the batch. `Insert` changes only
    the offers of the batch.

    The service executes the batch even if the client disconnects."""
    runtime = server_runtime_of(request.app)
    async with enter_upload(request, service, caller, runtime.upload_places) as place:
        require_json(request)
        coding = content_coding(request, CODINGS)
        no_parameters(request)
        upload = new_upload(request, service, caller, coding)
        early = runtime.supervisor.early_validations

        async def receive() -> RunSender:
            max_bytes, validate = service.settings.max_body_bytes, partial(early.notify, upload, caller.partner or "")
            await receive_body(request, upload, place, request.stream(), max_bytes, on_written=validate)
            return RunSender(caller.partner or "", origin_of(request, caller, Source.CUSTOM))

        replies = Replies(accepted_reply, _completed)
        return await answer_with_run(request, service, caller, upload, place, receive, replies)


def _completed(run: Run) -> dict[str, Any]:
    answer = finished_reply_without_items(run)
    if run.all_failed:
        raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "all-items-failed", ALL_FAILED, vendor=answer)
    return answer
