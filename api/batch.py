"""How does a partner send a batch of offers? (The batch document's one call.)"""

import logging
from http import HTTPStatus
from typing import Annotated

import msgspec
from fastapi import APIRouter, Depends, Request, Response

from api.auth import Here, may
from api.batch_reply import ALL_FAILED, accepted_reply, finished_reply
from api.media_types import content_coding, require_json
from api.pages import JSON
from api.prefer import waiting
from api.problems import BATCH_PATH, Problem, run_path
from api.run_desk import RunDesk
from api.run_intake import Sender
from api.run_work import FAILED
from api.schemas.batch_reply import AcceptedReply, BatchReply
from api.schemas.problem import BODY_PROBLEMS, PROBLEM, PROBLEMS
from api.schemas.query import no_parameters
from api.upload import CODINGS, Upload, too_large
from api.wiring import Service
from domain.ledger import StorageError
from domain.run import Run, RunState
from domain.values import Channel, Origin, Role, Source
from projections.tokens import Caller

BYTES_PER_WRITE = 256 * 1024

logger = logging.getLogger("offer_ledger")

MaySend = Annotated[Caller, Depends(may(Role.PARTNER))]

router = APIRouter(tags=["batch"], responses=PROBLEMS)


@router.post(
    BATCH_PATH,
    responses={
        200: {"model": BatchReply},
        202: {"model": AcceptedReply, "description": "Accepted; the run tells at Location what becomes of it"},
        409: {"description": "Another run of this partner is in progress", **PROBLEM},
        **BODY_PROBLEMS,
    },
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {JSON: {"schema": {"$ref": "#/components/schemas/BatchRequest"}}},
        },
        "parameters": [
            {
                "name": "Prefer",
                "in": "header",
                "description": "respond-async: don't wait for the run. wait=n: wait for n seconds at most (RFC 7240).",
                "schema": {"type": "string"},
            }
        ],
    },
)
async def send_batch(request: Request, service: Here, caller: MaySend) -> Response:
    """Synchronize: the offers of this batch are all that shall be active. Insert: only they are touched.

    The batch is carried out whether or not anybody waits for it."""
    desk: RunDesk = request.app.state.desk
    require_json(request)
    coding = content_coding(request, CODINGS)
    no_parameters(request)
    upload = Upload(service.runs, coding, service.settings.max_body_bytes)
    wait = waiting(request.headers.getlist("Prefer"), service.settings.wait_seconds)
    async with desk.keeping(upload):
        await _receive(request, desk, upload, service.settings.max_body_bytes)
        sender = Sender(caller.partner or "", Channel.CUSTOM, Origin(caller.name, Source.CUSTOM))
        accepted = await desk.accept(upload, sender)
    if accepted.replayed:
        headers = {"Idempotency-Replayed": "true"} if accepted.run.is_finished else {}
        return await desk.reading(_answer, service, accepted.run, headers)
    headers = {"Preference-Applied": wait.applied} if wait.applied else {}
    try:
        run = await desk.wait(accepted.run, wait.seconds)
        return await desk.reading(_answer, service, run, headers)
    except StorageError as error:
        # The run is accepted, whatever becomes of this reply.
        logger.warning("run %s can't be looked at: %s", accepted.run.run_id, error)
        return _answer(service, accepted.run, headers)


def _answer(service: Service, run: Run, headers: dict[str, str]) -> Response:
    """Raises Problem for a run that came to nothing."""
    if not run.is_finished:
        headers |= {"Location": run_path(run.run_id)}
        return Response(msgspec.json.encode(accepted_reply(run)), HTTPStatus.ACCEPTED, headers, JSON)
    if run.state is RunState.FAILED:
        headers |= {"Location": run_path(run.run_id)}
        raise Problem(HTTPStatus.INTERNAL_SERVER_ERROR, FAILED.type, FAILED.detail, headers=headers)
    with service.ledger.recorder.reading() as tx:
        answer = finished_reply(tx, run)
    if run.all_failed:
        raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "all-items-failed", ALL_FAILED, headers=headers, vendor=answer)
    return Response(msgspec.json.encode(answer), HTTPStatus.OK, headers, JSON)


async def _receive(request: Request, desk: RunDesk, upload: Upload, max_bytes: int) -> None:
    if int(request.headers.get("Content-Length", "0")) > max_bytes:
        raise too_large(max_bytes)
    waiting_bytes = bytearray()
    async for chunk in request.stream():
        waiting_bytes += chunk
        if len(waiting_bytes) >= BYTES_PER_WRITE:
            await desk.writing(upload.write, bytes(waiting_bytes))
            waiting_bytes.clear()
    await desk.writing(_end, upload, bytes(waiting_bytes))


def _end(upload: Upload, last: bytes) -> None:
    upload.write(last)
    upload.end()
