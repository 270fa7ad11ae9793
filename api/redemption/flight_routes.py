"""Flights over HTTP: schedule and list them."""

from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Any, NamedTuple
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response

from api.dependencies.authentication import ServiceDep, origin_of
from api.dependencies.read_routing import ReplicaReads, fall_back_to_primary
from api.dependencies.roles import FlightScheduler, for_activation_readers
from api.dependencies.runtime import runtime_of
from api.http.ledger_position import set_newest_position
from api.http.pagination import PageCursors, next_link
from api.http.problems import not_found
from api.http.query_params import OfferUid, PageParams, no_parameters, uid
from api.http.replies import json_response
from api.parsing.json_body import openapi_request_body, read_body
from api.redemption.activation_schemas import Flight, FlightList, FlightRequest
from api.server.retry_route import RetryingRoute
from api.validation.times import read_time
from domain.redemption.flight import ScheduleFlight
from domain.values import Role, Source, to_microseconds, utc_text

FLIGHTS_PATH = "/api/v1/offers/{offerUid}/flights"

router = APIRouter(tags=["activations"], route_class=RetryingRoute)


@router.post(
    FLIGHTS_PATH,
    status_code=HTTPStatus.CREATED,
    responses={
        200: {"model": Flight, "description": "The same flight is already scheduled"},
        201: {"model": Flight},
    },
    openapi_extra=openapi_request_body(FlightRequest),
)
async def schedule_flight(
    request: Request, service: ServiceDep, caller: FlightScheduler, offer_uid: OfferUid
) -> Response:
    """Schedule a flight of an offer. From its start until the next flight starts, activations get windows of
    `redemptionWindowDays` days."""
    no_parameters(request)
    body = await read_body(request, FlightRequest)
    command = ScheduleFlight(_parse_offer_uid(offer_uid), read_time(body.startsAt), body.redemptionWindowDays)
    source = Source.OPERATOR if caller.role is Role.OPERATOR else Source.PUBLISHER
    origin = origin_of(request, caller, source)._replace(reason=body.reason)
    threads = runtime_of(request).threads
    is_new = await threads.run_write(service.activations.schedule, command, origin)
    await threads.run_read(set_newest_position, request, service.ledger)
    answer = _flight(command.starts_at, command.redemption_window_days)
    return json_response(answer, HTTPStatus.CREATED if is_new else HTTPStatus.OK)


@router.get(FLIGHTS_PATH, responses={200: {"model": FlightList}}, dependencies=[for_activation_readers])
@fall_back_to_primary
def list_flights(
    request: Request,
    service: ServiceDep,
    reads: ReplicaReads,
    offer_uid: OfferUid,
    query: Annotated[PageParams, Query()],
) -> Response:
    """List the flights of an offer in the order of their starts."""
    parsed_uid = _parse_offer_uid(offer_uid)
    with reads.read() as tx:
        cursors = PageCursors(reads.name_in(tx), ("flights", parsed_uid))
        place = cursors.decode_as(_FlightCursor, query.cursor)
        scheduled = service.activations.flights(tx, parsed_uid).scheduled
    starts = [start for start in sorted(scheduled) if place is None or to_microseconds(start) > place.start]
    last = _FlightCursor(to_microseconds(starts[query.limit - 1])) if len(starts) > query.limit else None
    next_cursor = cursors.encode(last)
    items = [_flight(start, scheduled[start]) for start in starts[: query.limit]]
    body = {"items": items, "nextCursor": next_cursor}
    return json_response(body, headers=next_link(request.url, next_cursor))


class _FlightCursor(NamedTuple):
    """The start of a page's last flight, in microseconds."""

    start: int


def _flight(starts_at: datetime, days: int) -> dict[str, Any]:
    return {"startsAt": utc_text(starts_at), "redemptionWindowDays": days}


def _parse_offer_uid(offer_uid: str) -> UUID:
    parsed_uid = uid(offer_uid)
    if parsed_uid is None:
        raise not_found("offer")
    return parsed_uid
