"""Operators hold and release offers."""

from http import HTTPStatus
from typing import Any
from uuid import UUID

from fastapi import APIRouter, Request, Response

from api.dependencies.authentication import ServiceDep, origin_of
from api.dependencies.roles import Operator
from api.dependencies.runtime import runtime_of
from api.http.ledger_position import set_newest_position
from api.http.problems import not_found
from api.http.query_params import OfferUid, no_parameters, uid
from api.http.replies import json_response
from api.offers.schemas import HeldOffer, HoldRequest, ReleaseRequest
from api.parsing.json_body import openapi_request_body, read_body
from api.server.retry_route import RetryingRoute
from api.service import Service
from api.validation.times import read_time
from domain.redemption.hold import HoldCommand, HoldOffer, ReleaseOffer
from domain.values import Origin, Source
from projections.offers import inventory

HOLD_PATH = "/api/v1/offers/{offerUid}/hold"
RELEASE_PATH = "/api/v1/offers/{offerUid}/release"

router = APIRouter(tags=["offers"], route_class=RetryingRoute)


@router.post(
    HOLD_PATH,
    responses={
        200: {"model": HeldOffer, "description": "The offer is already held until this time"},
        201: {"model": HeldOffer},
    },
    status_code=HTTPStatus.CREATED,
    openapi_extra=openapi_request_body(HoldRequest),
)
async def hold_offer(request: Request, service: ServiceDep, caller: Operator, offer_uid: OfferUid) -> Response:
    """Hold an offer: it takes no new activations until `until`, or until its release. The windows of customers who have
    activated it stay, and its partner can still change it."""
    no_parameters(request)
    body = await read_body(request, HoldRequest)
    until = read_time(body.until) if body.until else None
    command = HoldOffer(_offer_uid(offer_uid), until)
    origin = origin_of(request, caller, Source.OPERATOR)._replace(reason=body.reason)
    is_new, answer = await _execute(request, service, command, origin)
    return json_response(answer, HTTPStatus.CREATED if is_new else HTTPStatus.OK)


@router.post(RELEASE_PATH, responses={200: {"model": HeldOffer}}, openapi_extra=openapi_request_body(ReleaseRequest))
async def release_offer(request: Request, service: ServiceDep, caller: Operator, offer_uid: OfferUid) -> Response:
    """Release a held offer. If it is not held, nothing changes."""
    no_parameters(request)
    body = await read_body(request, ReleaseRequest)
    origin = origin_of(request, caller, Source.OPERATOR)._replace(reason=body.reason)
    _, answer = await _execute(request, service, ReleaseOffer(_offer_uid(offer_uid)), origin)
    return json_response(answer)


async def _execute(
    request: Request, service: Service, command: HoldCommand, origin: Origin
) -> tuple[bool, dict[str, Any]]:
    """Returns whether the command changed something, and the offer afterwards. Raises Refused."""
    threads = runtime_of(request).threads
    has_changed = await threads.run_write(service.holds.execute, command, origin)
    await threads.run_read(set_newest_position, request, service.ledger)
    return has_changed, await threads.run_read(held_offer, service, command.offer_uid)


def held_offer(service: Service, offer_uid: UUID) -> dict[str, Any]:
    """Returns an offer that exists, with its hold, for HTTP and the command line."""
    with service.ledger.read() as tx:
        offer = inventory.find(tx, offer_uid, service.ledger.now(tx))
    assert offer
    return {"offerUid": offer.offer_uid, "hold": offer.hold}


def _offer_uid(text: str) -> UUID:
    parsed_uid = uid(text)
    if parsed_uid is None:
        raise not_found("offer")
    return parsed_uid
