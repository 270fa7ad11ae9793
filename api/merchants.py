"""How does a partner send one merchant offer, or take it down? (The merchant document's two calls.)"""

import asyncio
from http import HTTPStatus
from typing import Annotated
from urllib.parse import unquote_to_bytes
from uuid import uuid4

import msgspec
from fastapi import APIRouter, Depends, Request, Response

from api.auth import Here, may
from api.merchant_intake import read_offer
from api.merchant_limits import limit_headers, require_pace
from api.pages import JSON
from api.problems import MERCHANTS_PATH, Problem, not_found, validation_error
from api.schemas.merchant import MerchantOffer
from api.schemas.messages import Complaint
from api.schemas.problem import BODY_PROBLEMS, PROBLEMS
from api.schemas.query import no_parameters
from api.schemas.traces import QuotaReply, SingleReply, TraceReply
from api.wiring import Service
from domain.quota import Quota, require_quota
from domain.refusals import Refused
from domain.trace import Delete, Put, SingleRequest, Trace
from domain.trace_ledger import Result
from domain.values import MAX_ID_LENGTH, Channel, OfferKey, Origin, Role, Source
from projections.tokens import Caller

ACCEPTED = "Request accepted for processing"
TRACES_PATH = "/api/v1/partner/requests"

MaySend = Annotated[Caller, Depends(may(Role.PARTNER))]
MayRead = Annotated[Caller, Depends(may(Role.PARTNER, Role.AUDITOR, Role.OPERATOR))]

router = APIRouter(tags=["merchants"], responses=PROBLEMS)
"""The path is taken apart in its raw form: an id may hold slashes, escaped."""

OFFER_PATH = MERCHANTS_PATH + "/{external_merchant_id:path}/offers/{external_offer_id:path}"
_ID = {"in": "path", "required": True, "schema": {"type": "string", "minLength": 1, "maxLength": MAX_ID_LENGTH}}
_IDS = [{"name": "external_merchant_id", **_ID}, {"name": "external_offer_id", **_ID}]


@router.put(
    OFFER_PATH,
    status_code=HTTPStatus.ACCEPTED,
    responses={202: {"model": SingleReply}, **BODY_PROBLEMS},
    openapi_extra={
        "parameters": _IDS,
        "requestBody": {
            "required": True,
            "content": {JSON: {"schema": {"$ref": f"#/components/schemas/{MerchantOffer.__name__}"}}},
        },
    },
)
async def put_offer(request: Request, service: Here, caller: MaySend) -> Response:
    """The offer shall be there with exactly this content; answered when it is."""
    key = await _begin(request, service, caller, takes_down=False)
    try:
        body = await _body(request, service.settings.max_offer_bytes)
        action = await asyncio.to_thread(read_offer, body, key, service.settings.max_image_bytes)
    except Problem as refusal:
        await _submit(request, caller, key, None)
        if refusal.status is HTTPStatus.UNPROCESSABLE_ENTITY:
            raise Problem(HTTPStatus.BAD_REQUEST, refusal.kind, refusal.detail, errors=refusal.errors) from None
        raise
    return await _carry_out(request, caller, key, action)


@router.delete(
    OFFER_PATH,
    status_code=HTTPStatus.ACCEPTED,
    responses={202: {"model": SingleReply}},
    openapi_extra={"parameters": _IDS},
)
async def delete_offer(request: Request, service: Here, caller: MaySend) -> Response:
    """The offer shall be gone. What customers have activated stays theirs."""
    key = await _begin(request, service, caller, takes_down=True)
    return await _carry_out(request, caller, key, Delete())


@router.get("/api/v1/partner/quota", responses={200: {"model": QuotaReply}})
def get_quota(request: Request, service: Here, caller: MaySend) -> Response:
    """What is left of today's requests; asking is free."""
    no_parameters(request)
    terms, quota = service.traces.terms(caller.partner or "")
    headers, reset = limit_headers(terms, quota, service.clock())
    answer = {"limit": quota.limit, "used": quota.used, "remaining": quota.remaining, "reset": reset}
    return Response(msgspec.json.encode(answer), headers=headers, media_type=JSON)


@router.get(TRACES_PATH + "/{trace_id}", responses={200: {"model": TraceReply}})
def get_trace(request: Request, service: Here, caller: MayRead, trace_id: str) -> Response:
    """What became of a request that was accepted."""
    no_parameters(request)
    trace = service.traces.find(trace_id)
    if trace is None or caller.partner not in {None, trace.partner}:
        raise not_found("request")
    answer = {
        "trace_id": trace.trace_id,
        "outcome": trace.outcome,
        "version": trace.version,
        "warnings": trace.warnings,
        "offerUid": trace.offer_uid,
    }
    return Response(msgspec.json.encode(answer), media_type=JSON)


async def _begin(request: Request, service: Service, caller: Caller, *, takes_down: bool) -> OfferKey:
    """What comes before anything is read: the limits, and which offer it is about. Raises Refused, Problem."""
    partner = caller.partner or ""
    terms, quota = await asyncio.to_thread(service.traces.terms, partner)
    request.state.limits, _ = limit_headers(terms, quota, service.clock())
    require_pace(service.limiter, partner, terms.rps)
    require_quota(quota, service.clock(), takes_down=takes_down)
    # From here on it counts, whatever becomes of it.
    request.state.limits, _ = limit_headers(terms, Quota(quota.limit, quota.used + 1), service.clock())
    request.state.takes_down = takes_down
    key = _key(request, partner)
    if key is None:
        await _submit(request, caller, OfferKey(partner, Channel.MERCHANT, None, ""), None)
        place = Complaint(("path",), f"ids must be UTF-8, of 1 to {MAX_ID_LENGTH} characters")
        raise Problem(HTTPStatus.BAD_REQUEST, "validation-error", validation_error([]).detail, errors=[place])
    return key


def _key(request: Request, partner: str) -> OfferKey | None:
    raw = request.scope["raw_path"].partition(b"?")[0].removeprefix(f"{MERCHANTS_PATH}/".encode())
    merchant, found, offer = raw.partition(b"/offers/")
    try:
        ids = [unquote_to_bytes(part).decode() for part in (merchant, offer)]
    except UnicodeDecodeError:
        return None
    is_plain = found and b"/" not in merchant + offer
    if not is_plain or not all(1 <= len(told) <= MAX_ID_LENGTH and "\0" not in told for told in ids):
        return None
    return OfferKey(partner, Channel.MERCHANT, *ids)


async def _body(request: Request, max_bytes: int) -> bytes:
    media_type = request.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if media_type != JSON or request.headers.get("Content-Encoding", "identity").lower() != "identity":
        detail = f"The body must be {JSON} in UTF-8, not encoded."
        raise Problem(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "unsupported-media-type", detail)
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > max_bytes:
            detail = f"The body is larger than {max_bytes} bytes."
            raise Problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "content-too-large", detail)
    return bytes(body)


async def _carry_out(request: Request, caller: Caller, key: OfferKey, action: Put | Delete) -> Response:
    trace = await _submit(request, caller, key, action)
    assert isinstance(trace, Trace)  # noqa: S101 - an action that is not refused leaves one
    answer = {"message": ACCEPTED, "trace_id": trace.trace_id}
    headers = {**request.state.limits, "Location": f"{TRACES_PATH}/{trace.trace_id}"}
    return Response(msgspec.json.encode(answer), HTTPStatus.ACCEPTED, headers, JSON)


async def _submit(request: Request, caller: Caller, key: OfferKey, action: Put | Delete | None) -> Result:
    """Carries a request out, or counts it. Raises Refused."""
    single = SingleRequest(
        trace_id=f"req-{uuid4().hex}",
        key=key,
        origin=Origin(caller.name, Source.MERCHANT),
        action=action,
        takes_down=request.state.takes_down,
        traceparent=request.state.traceparent,
    )
    result: Result = await request.app.state.group_commit.submit(single)
    if isinstance(result, Refused):
        raise result
    return result
