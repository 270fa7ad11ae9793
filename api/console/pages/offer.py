"""What is one offer like, how has it become so, and what are customers owed for it?"""

from http import HTTPStatus
from typing import Any

import msgspec
from fastapi import APIRouter, Response
from fastapi.responses import RedirectResponse

from api.console.page_context import AuditPage, OperatorForm, PageContext
from api.console.pages.offer_images import image_in, images_in
from api.console.pages.offer_windows import chart_of, windows_of
from api.console.rendering import OFFERS, render, title_of
from api.console.routing import ConsoleRoute
from api.console.time_travel import parse_time_field
from api.http.problems import not_found
from api.http.query_params import uid
from api.offers.queries import find_visible
from domain.events import FlightScheduled
from domain.redemption.flight import MAX_FLIGHTS, ScheduleFlight
from domain.redemption.window import MAX_DAYS, MIN_DAYS
from domain.store.cursor import Cursor
from domain.values import Role
from projections.audit import event_list, offer_history
from projections.audit.event_list import EventFilter
from projections.offers.inventory import OfferView

EVENTS_SHOWN = 25
OFFER = f"{OFFERS}/{{offer_uid}}"
FLIGHT_READERS = (Role.AUDITOR, Role.OPERATOR)

router = APIRouter(include_in_schema=False, route_class=ConsoleRoute)


@router.get(OFFER)
def show_offer(context: AuditPage, offer_uid: str) -> Response:
    until = context.number("until")
    with context.service.ledger.read() as tx:
        offer = visible_offer(tx, context, offer_uid)
        shown = offer.version if until is None else min(until, offer.version)
        events = offer_history.page_back(tx, offer.offer_uid, shown + 1, EVENTS_SHOWN)
        windows = windows_of(tx, context, offer)
        flights = _flights(tx, context, offer) if context.may(*FLIGHT_READERS) else None
    content = msgspec.json.decode(offer.content)
    return render(
        context,
        "offer.html",
        title_of(content) or offer.external_id,
        offer=offer,
        content=content,
        images=images_in(content),
        events=events.items,
        newer=shown < offer.version,
        older=events.next_after and events.next_after - 1,
        windows=windows,
        chart=chart_of(context, offer, windows.items),
        flights=flights,
        days=(MIN_DAYS, MAX_DAYS),
    )


@router.post(f"{OFFER}/flights")
def submit_flight(offer_uid: str, submission: OperatorForm) -> Response:
    context = submission.page
    named = uid(offer_uid)
    if named is None:
        raise not_found("offer")
    starts_at = parse_time_field(submission.given("startsAt") or "", "startsAt")
    command = ScheduleFlight(named, starts_at, submission.number("redemptionWindowDays", MIN_DAYS, MAX_DAYS))
    context.service.activations.schedule(command, context.origin)
    return RedirectResponse(f"{OFFERS}/{named}#flights", HTTPStatus.SEE_OTHER)


@router.get(f"{OFFER}/images/{{name}}")
def send_image(context: AuditPage, offer_uid: str, name: str) -> Response:
    with context.service.ledger.read() as tx:
        offer = visible_offer(tx, context, offer_uid)
    found = image_in(msgspec.json.decode(offer.content), name)
    if found is None:
        raise not_found("image")
    kind, data = found
    return Response(data, media_type=kind, headers={"Content-Security-Policy": "sandbox; default-src 'none'"})


def visible_offer(tx: Cursor, context: PageContext, offer_uid: str) -> OfferView:
    """The offer at the moment. Raises Problem 404, also for what is another partner's."""
    offer = find_visible(context.service.ledger, tx, context.partner, offer_uid, context.state.as_of)
    if offer is None:
        raise not_found("offer at this moment" if context.state.is_past else "offer")
    return offer


def _flights(tx: Cursor, context: PageContext, offer: OfferView) -> list[dict[str, Any]]:
    """In the order of their starts."""
    wanted = EventFilter(offer_uid=offer.offer_uid, type=FlightScheduled.TOPIC)
    page = event_list.page(tx, wanted, 0, MAX_FLIGHTS, context.state.position)
    flights = [
        {change["field"].removeprefix("/"): change["after"] for change in item.changes}
        | {"actor": item.actor, "recordedAt": item.recorded_at}
        for item in page.items
    ]
    return sorted(flights, key=lambda flight: str(flight["startsAt"]))
