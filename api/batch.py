"""How does a partner send a batch of offers? (The batch document's one call.)"""

from http import HTTPStatus
from typing import Annotated

import msgspec
from anyio import to_thread
from fastapi import APIRouter, Depends, Request, Response

from api.auth import Here, may
from api.batch_intake import ALL_FAILED, read_batch, reply
from api.problems import BATCH_PATH, Problem
from api.schemas.batch_reply import BatchReply
from api.schemas.problem import BODY_PROBLEMS, PROBLEMS
from api.schemas.query import no_parameters
from api.wiring import Service
from domain.values import Origin, Role, Source
from projections.tokens import Caller

JSON = "application/json"

MaySend = Annotated[Caller, Depends(may(Role.PARTNER))]

router = APIRouter(tags=["batch"], responses=PROBLEMS)


@router.post(
    BATCH_PATH,
    responses={200: {"model": BatchReply}, **BODY_PROBLEMS},
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {JSON: {"schema": {"$ref": "#/components/schemas/BatchRequest"}}},
        }
    },
)
async def send_batch(request: Request, service: Here, caller: MaySend) -> Response:
    """Synchronize: the offers of this batch are all that shall be active. Insert: only they are touched."""
    _require_plain_json(request)
    no_parameters(request)
    body = await _read_body(request, service.settings.max_body_bytes)
    return await to_thread.run_sync(_carry_out, service, caller, body, limiter=service.batch_threads)


def _carry_out(service: Service, caller: Caller, body: bytes) -> Response:
    partner = caller.partner or ""
    command = read_batch(body, partner, service.settings.max_items)
    ran = service.ledger.run_batch(command, Origin(caller.name, Source.CUSTOM))
    headers = {"Idempotency-Replayed": "true"} if ran.replayed else {}
    answer = reply(ran.run)
    if ran.run.outcome.all_failed:
        raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "all-items-failed", ALL_FAILED, headers=headers, vendor=answer)
    return Response(msgspec.json.encode(answer), headers=headers, media_type=JSON)


def _require_plain_json(request: Request) -> None:
    media_type, _, parameters = request.headers.get("Content-Type", "").partition(";")
    charset = parameters.replace(" ", "").lower().replace('"', "")
    if media_type.strip().lower() != JSON or charset not in {"", "charset=utf-8", "charset=utf8"}:
        detail = f"The body must be {JSON} in UTF-8."
        raise Problem(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "unsupported-media-type", detail)
    if request.headers.get("Content-Encoding", "identity").lower() != "identity":
        detail = "The body must not be encoded."
        raise Problem(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "unsupported-media-type", detail, headers={"Accept-Encoding": "identity"}
        )


async def _read_body(request: Request, max_bytes: int) -> bytes:
    body = bytearray()
    if int(request.headers.get("Content-Length", "0")) > max_bytes:
        raise _too_large(max_bytes)
    async for chunk in request.stream():
        body += chunk
        if len(body) > max_bytes:
            raise _too_large(max_bytes)
    return bytes(body)


def _too_large(max_bytes: int) -> Problem:
    detail = f"The body is larger than {max_bytes} bytes."
    return Problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "content-too-large", detail, headers={"Connection": "close"})
