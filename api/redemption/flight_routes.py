"""Flights over HTTP: schedule and list them."""

from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Any, NamedTuple
from uuid import UUID

import msgspec
from fastapi import APIRouter, Depends, Query, Request, Response

from api.dependencies.authentication import ServiceDep, require_roles
from api.dependencies.read_routing import ReplicaReads, fall_back_to_primary
from api.http import pagination
from api.http.ledger_position import set_newest_position
from api.http.pagination import JSON, next_link
from api.http.problem_schemas import BODY_PROBLEMS, PROBLEM, PROBLEMS
from api.http.problems import not_found
from api.http.query_params import OfferUid, PageParams, no_parameters, uid
from api.parsing.json_body import read_body, takes
from api.redemption.activation_routes import MayReadActivations
from api.redemption.activation_schemas import Flight, FlightList, FlightRequest
from api.server.retry_route import RetryingRoute
from api.validation.times import read_time
from domain.redemption.flight import ScheduleFlight
from domain.values import Origin, Role, Source, to_microseconds, utc_text
from projections.access.tokens import Caller

FLIGHTS_PATH = "/api/v1/offers/{offerUid}/flights"
MaySchedule = Annotated[Caller, Depends(require_roles(Role.PUBLISHER, Role.OPERATOR))]


router = APIRouter(tags=["activations"], responses=PROBLEMS, route_class=RetryingRoute)


@router.post(
    FLIGHTS_PATH,
    status_code=HTTPStatus.CREATED,
    responses={
        200: {"model": Flight, "description": "It had been scheduled before"},
        201: {"model": Flight},
        409: {"description": "A flight with other days starts at that time", **PROBLEM},
        **BODY_PROBLEMS,
    },
    openapi_extra=takes(FlightRequest),
)
async def schedule_flight(request: Request, service: ServiceDep, caller: MaySchedule, offer_uid: OfferUid) -> Response:
    """From its start until the next flight starts, activations of the offer get windows of so many days."""
    no_parameters(request)
    body = await read_body(request, FlightRequest)
    command = ScheduleFlight(_offer(offer_uid), read_time(body.startsAt), body.redemptionWindowDays)
    origin = Origin(caller.name, Source.PUBLISHER)
    desk = request.app.state.desk
    is_new = await desk.run_write(service.activations.schedule, command, origin)
    await desk.run_read(set_newest_position, request, service.ledger)
    answer = _flight(command.starts_at, command.redemption_window_days)
    return Response(msgspec.json.encode(answer), HTTPStatus.CREATED if is_new else HTTPStatus.OK, media_type=JSON)


@router.get(FLIGHTS_PATH, responses={200: {"model": FlightList}})
@fall_back_to_primary
def list_flights(
    request: Request,
    service: ServiceDep,
    reads: ReplicaReads,
    caller: MayReadActivations,  # noqa: ARG001 - asks for the role
    offer_uid: OfferUid,
    query: Annotated[PageParams, Query()],
) -> Response:
    """The flights of an offer, in the order of their starts."""
    named = _offer(offer_uid)
    question = ("flights", named)
    place = pagination.decode_cursor_as(_Start, question, query.cursor)
    with reads.read() as tx:
        scheduled = service.activations.flights(tx, named).scheduled
    starts = [start for start in sorted(scheduled) if place is None or to_microseconds(start) > place.start]
    last = _Start(to_microseconds(starts[query.limit - 1])) if len(starts) > query.limit else None
    next_cursor = pagination.encode_cursor(question, last)
    items = [_flight(start, scheduled[start]) for start in starts[: query.limit]]
    body = {"items": items, "nextCursor": next_cursor}
    return Response(msgspec.json.encode(body), headers=next_link(request.url, next_cursor), media_type=JSON)


class _Start(NamedTuple):
    """Of the last flight of a page, in microseconds."""

    start: int


def _flight(starts_at: datetime, days: int) -> dict[str, Any]:
    return {"startsAt": utc_text(starts_at), "redemptionWindowDays": days}


def _offer(offer_uid: str) -> UUID:
    named = uid(offer_uid)
    if named is None:
        raise not_found("offer")
    return named
