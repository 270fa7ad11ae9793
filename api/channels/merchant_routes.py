"""The calls of the merchant document: PUT and DELETE of one offer, and the partner's quota and traces."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus
from urllib.parse import unquote_to_bytes
from uuid import uuid4

from anyio import to_thread
from fastapi import APIRouter, Request, Response
from msgspec import Struct
from starlette.convertors import StringConvertor, register_url_convertor
from starlette.requests import ClientDisconnect

from api.access.merchant_limits import MerchantLimits, require_rate
from api.bounds.body import BodyBounds
from api.channels.merchant_conditions import CONDITIONAL_HEADERS, precondition_of
from api.channels.merchant_schemas import QuotaReply, SingleReply, TraceReply
from api.dependencies.authentication import ServiceDep, origin_of, require_role, run_counted, token_digest
from api.dependencies.read_routing import PrimaryReads
from api.dependencies.roles import PARTNER_ONLY, PartnerCaller, PartnerReader
from api.dependencies.runtime import runtime_of
from api.dependencies.waiting_bodies import ReceivedBody
from api.http.content_negotiation import require_json
from api.http.ledger_position import unwrap
from api.http.paths import MERCHANTS_PATH
from api.http.problems import Problem, not_found, validation_error
from api.http.query_params import no_parameters
from api.http.replies import json_response
from api.http.request_state import request_state
from api.intake.merchant_offer import read_offer
from api.intake.merchant_schemas import MerchantOffer
from api.parsing.json_body import openapi_request_body
from api.runs.server_runtime import server_runtime_of
from api.server.raw_route import RawRoute
from api.server.retry_route import RetryingRoute
from api.validation.field_errors import InvalidField
from domain.refusals import DailyQuotaExceeded, Refused, UnknownPartner
from domain.single_requests.group import CountedRefusal
from domain.single_requests.precondition import Precondition
from domain.single_requests.quota import Quota, require_quota, seconds_to_next_day
from domain.single_requests.request import CountRefusal, Delete, Put, SingleRequest, SingleRequestCommand
from domain.store.records.traces import find_trace
from domain.values import MAX_ID_LENGTH, Channel, OfferKey, Source
from projections.access.tokens import Caller

REQUEST_ACCEPTED = "Request accepted for processing"
SMALL_BODY_BYTES = 16 * 1024
_MAX_ESCAPED_IDS = 2 * MAX_ID_LENGTH * len("%F0%9F%98%80") + len("/offers/")
"""The most bytes of both ids in a path. Longer ones are not decoded: 60,000 percent signs take 30 ms."""
TRACES_PATH = "/api/v1/partner/requests"


class MerchantCaller(Struct, frozen=True):
    """The caller of a single request, its partner and the partner's limits."""

    caller: Caller
    partner: str
    limits: MerchantLimits


async def _authorise(request: Request) -> MerchantCaller:
    """Checks the token and the limits before the body is read. Raises Refused and the problems of `require_roles`."""
    runtime = runtime_of(request)
    service = runtime.service
    lookup = await runtime.callers.find(token_digest(request))
    caller = require_role(request, service, lookup.caller, PARTNER_ONLY)
    partner = caller.partner or ""
    if lookup.limits is None:
        raise UnknownPartner(partner)
    terms, quota = lookup.limits
    rate = await run_counted(service, service.limiter.count_partner_request, partner, terms.rps)
    limits = MerchantLimits(terms, rate.remaining, quota, service.clock())
    request_state(request).limits = limits
    require_rate(rate, terms.rps)
    require_quota(quota, limits.now, is_deletion=_is_deletion(request))
    # From here on, the request counts whether or not it is refused.
    limits.quota = Quota(quota.limit, quota.used + 1)
    return MerchantCaller(caller, partner, limits)


def _is_deletion(request: Request) -> bool:
    return request.method == "DELETE"


router = APIRouter(tags=["merchants"], route_class=RetryingRoute)
raw_router = APIRouter(route_class=RawRoute)


class _Anything(StringConvertor):
    """Matches any text, including slashes and line breaks."""

    regex = "(?s:.*)"


register_url_convertor("anything", _Anything())
OFFER_PATH = MERCHANTS_PATH + "/{external_merchant_id:anything}/offers/{external_offer_id:anything}"
_ID = {"in": "path", "required": True, "schema": {"type": "string", "minLength": 1, "maxLength": MAX_ID_LENGTH}}
_IDS = [
    {"name": "external_merchant_id", "example": "MER-310", **_ID},
    {"name": "external_offer_id", "example": "OFR-8841", **_ID},
]
_PARAMETERS = [*_IDS, *CONDITIONAL_HEADERS]


@raw_router.put(
    OFFER_PATH,
    status_code=HTTPStatus.ACCEPTED,
    responses={202: {"model": SingleReply}},
    openapi_extra={"parameters": _PARAMETERS, **openapi_request_body(MerchantOffer)},
)
async def put_offer(request: Request) -> Response:
    """Create or replace an offer. The reply is sent when the change is durable."""
    sender, settings = await _authorise(request), runtime_of(request).service.settings
    async with _counting_refusals(request, sender):
        require_json(request)
        bodies = runtime_of(request).waiting_bodies
        async with bodies.receive(request, sender.partner, settings.max_offer_bytes, "max_offer_bytes") as body:
            key, precondition = _offer_key(request, sender.partner), precondition_of(request)
            action = await _evaluate(request, body, key, settings.body_bounds)
    return await _execute(request, sender, key, action, precondition)


@raw_router.delete(
    OFFER_PATH,
    status_code=HTTPStatus.ACCEPTED,
    responses={202: {"model": SingleReply}},
    openapi_extra={"parameters": _PARAMETERS},
)
async def delete_offer(request: Request) -> Response:
    """Delete an offer. Existing activations keep their redemption windows."""
    sender = await _authorise(request)
    async with _counting_refusals(request, sender):
        key, precondition = _offer_key(request, sender.partner), precondition_of(request)
    return await _execute(request, sender, key, Delete(), precondition)


router.include_router(raw_router)


@router.get("/api/v1/partner/quota", responses={200: {"model": QuotaReply}})
def get_quota(request: Request, service: ServiceDep, caller: PartnerCaller) -> Response:
    """Get the daily quota and the requests that are left. This call is not counted."""
    no_parameters(request)
    terms, quota = service.single_requests.terms(caller.partner or "")
    now = service.clock()
    remaining = service.limiter.remaining_this_second(caller.partner or "", terms.rps)
    headers = MerchantLimits(terms, remaining, quota, now).headers()
    reset = seconds_to_next_day(now)
    answer = {"limit": quota.limit, "used": quota.used, "remaining": quota.remaining, "reset": reset}
    return json_response(answer, headers=headers)


@router.get(TRACES_PATH + "/{trace_id}", responses={200: {"model": TraceReply}})
def get_trace(request: Request, reads: PrimaryReads, caller: PartnerReader, trace_id: str) -> Response:
    """Get the outcome of an accepted request."""
    no_parameters(request)
    with reads.read() as tx:
        trace = find_trace(tx, trace_id, caller.partner)
    if trace is None:
        raise not_found("request")
    answer = {
        "trace_id": trace.trace_id,
        "outcome": trace.outcome,
        "version": trace.version,
        "warnings": trace.warnings,
        "offerUid": trace.offer_uid,
    }
    return json_response(answer)


@asynccontextmanager
async def _counting_refusals(request: Request, sender: MerchantCaller) -> AsyncIterator[None]:
    """Counts a refused request. These calls answer an invalid field with 400 instead of 422."""
    try:
        yield
    except (Problem, ClientDisconnect) as refusal:
        if not isinstance(refusal, Problem) or _counts(refusal):
            await _submit(request, sender, CountRefusal(sender.partner, is_deletion=_is_deletion(request)))
        if isinstance(refusal, Problem) and refusal.status is HTTPStatus.UNPROCESSABLE_ENTITY:
            raise Problem(HTTPStatus.BAD_REQUEST, refusal.kind, refusal.detail, errors=refusal.errors) from None
        raise


def _counts(refusal: Problem) -> bool:
    return refusal.status < HTTPStatus.INTERNAL_SERVER_ERROR and refusal.status is not HTTPStatus.TOO_MANY_REQUESTS


async def _evaluate(request: Request, body: ReceivedBody, key: OfferKey, bounds: BodyBounds) -> Put:
    """Evaluates a large body in another process: its parser would hold the interpreter of this one."""
    if body.size <= SMALL_BODY_BYTES:
        # This takes less time than starting a thread.
        return read_offer(body.load(), key, bounds)
    bodies = runtime_of(request).waiting_bodies
    if not body.is_large:
        return await to_thread.run_sync(read_offer, body.load(), key, bounds)
    async with bodies.turns.take(key.partner):
        supervisor = server_runtime_of(request.app).supervisor
        return await supervisor.evaluate(read_offer, await bodies.load(body), key, bounds)


def _offer_key(request: Request, partner: str) -> OfferKey:
    """Reads the ids from the raw path, because an id may contain escaped slashes. Raises Problem."""
    no_parameters(request)
    raw = request.scope["raw_path"].partition(b"?")[0].removeprefix(f"{MERCHANTS_PATH}/".encode())
    merchant, separator, offer = raw.partition(b"/offers/")
    try:
        ids = [unquote_to_bytes(part).decode() for part in (merchant, offer) if len(raw) <= _MAX_ESCAPED_IDS]
    except UnicodeDecodeError:
        ids = []
    is_plain = ids and separator and b"/" not in merchant + offer
    if not is_plain or not all(1 <= len(id_) <= MAX_ID_LENGTH and "\0" not in id_ for id_ in ids):
        raise validation_error([InvalidField(("path",), f"ids must be UTF-8 texts of 1 to {MAX_ID_LENGTH} characters")])
    return OfferKey(partner, Channel.MERCHANT, *ids)


async def _execute(
    request: Request, sender: MerchantCaller, key: OfferKey, action: Put | Delete, precondition: Precondition | None
) -> Response:
    single = SingleRequest(
        trace_id=f"req-{uuid4().hex}",
        key=key,
        origin=origin_of(request, sender.caller, Source.MERCHANT),
        action=action,
        precondition=precondition,
    )
    await _submit(request, sender, single)
    answer = {"message": REQUEST_ACCEPTED, "trace_id": single.trace_id}
    headers = {**sender.limits.headers(), "Location": f"{TRACES_PATH}/{single.trace_id}"}
    return json_response(answer, HTTPStatus.ACCEPTED, headers)


async def _submit(request: Request, sender: MerchantCaller, command: SingleRequestCommand) -> None:
    """Executes a command, and updates the quota that the reply reports. Raises Refused."""
    result = unwrap(request, await runtime_of(request).merchant_queue.submit(command))
    if isinstance(result, Refused):
        if isinstance(result, DailyQuotaExceeded):
            # Concurrent requests have used the rest of the quota.
            sender.limits.quota = Quota(result.limit, result.limit)
        raise result
    # Concurrent requests are counted too, so the number is known only now.
    sender.limits.quota = result.quota
    if isinstance(result, CountedRefusal) and result.refusal is not None:
        raise result.refusal
