"""The page of one offer: its content, images, history, redemption windows and flights."""

from http import HTTPStatus
from typing import Any
from uuid import UUID

from fastapi import APIRouter, Response
from fastapi.responses import RedirectResponse

from api.console.content_view import assets_in, shown_content
from api.console.page_context import AuditPage, OperatorForm, PageContext
from api.console.pages.offer_images import image_in, images_in
from api.console.pages.offer_windows import chart_of, windows_of
from api.console.rendering import OFFERS, render, title_of
from api.console.routing import ConsoleRoute
from api.console.time_travel import parse_time_field
from api.dependencies.roles import AUDITORS
from api.http.problems import not_found
from api.http.query_params import uid
from api.offers.queries import find_visible
from domain.events import FlightScheduled, OfferHeld, OfferReleased
from domain.redemption.flight import MAX_FLIGHTS, ScheduleFlight
from domain.redemption.hold import HoldOffer, ReleaseOffer
from domain.redemption.window import MAX_DAYS, MIN_DAYS
from domain.store.cursor import Cursor
from domain.values import MAX_REASON_LENGTH, EventOrder
from projections.audit import event_list, offer_history
from projections.audit.event_item import EventView
from projections.audit.event_list import EventFilter
from projections.offers.inventory import OfferView

EVENTS_SHOWN = 25
HOLDS_SHOWN = 25
OFFER = f"{OFFERS}/{{offer_uid}}"

router = APIRouter(include_in_schema=False, route_class=ConsoleRoute)


@router.get(OFFER)
def show_offer(context: AuditPage, offer_uid: str) -> Response:
    until = context.number("until")
    with context.service.ledger.read() as tx:
        offer = visible_offer(tx, context, offer_uid)
        shown = offer.version if until is None else min(until, offer.version)
        events = offer_history.page_backwards(tx, offer.offer_uid, shown + 1, EVENTS_SHOWN)
        windows = windows_of(tx, context, offer)
        holds = _holds(tx, context, offer)
        flights = _flights(tx, context, offer) if context.has_role(*AUDITORS) else None
    return render(
        context,
        "offer.html",
        title_of(offer.content) or offer.external_id,
        offer=offer,
        content=shown_content(offer.content),
        images=images_in(assets_in(offer.content)),
        events=events.items,
        newer=shown < offer.version,
        older=events.next_after and events.next_after - 1,
        windows=windows,
        chart=chart_of(context, offer, windows.items),
        holds=holds,
        longest_reason=MAX_REASON_LENGTH,
        flights=flights,
        days=(MIN_DAYS, MAX_DAYS),
    )


@router.post(f"{OFFER}/flights")
def submit_flight(offer_uid: str, submission: OperatorForm) -> Response:
    context = submission.context
    parsed_uid = _parsed(offer_uid)
    starts_at = parse_time_field(submission.field("startsAt") or "", "startsAt")
    command = ScheduleFlight(parsed_uid, starts_at, submission.number("redemptionWindowDays", MIN_DAYS, MAX_DAYS))
    context.service.activations.schedule(command, submission.origin)
    return RedirectResponse(f"{OFFERS}/{parsed_uid}#flights", HTTPStatus.SEE_OTHER)


@router.post(f"{OFFER}/hold")
def submit_hold(offer_uid: str, submission: OperatorForm) -> Response:
    until = submission.field("until")
    parsed_uid = _parsed(offer_uid)
    command = HoldOffer(parsed_uid, parse_time_field(until, "until") if until else None)
    submission.context.service.holds.execute(command, submission.origin_with_reason)
    return RedirectResponse(f"{OFFERS}/{parsed_uid}#holds", HTTPStatus.SEE_OTHER)


@router.post(f"{OFFER}/release")
def submit_release(offer_uid: str, submission: OperatorForm) -> Response:
    parsed_uid = _parsed(offer_uid)
    submission.context.service.holds.execute(ReleaseOffer(parsed_uid), submission.origin_with_reason)
    return RedirectResponse(f"{OFFERS}/{parsed_uid}#holds", HTTPStatus.SEE_OTHER)


def _parsed(offer_uid: str) -> UUID:
    """Raises Problem 404."""
    parsed_uid = uid(offer_uid)
    if parsed_uid is None:
        raise not_found("offer")
    return parsed_uid


@router.get(f"{OFFER}/images/{{name}}")
def send_image(context: AuditPage, offer_uid: str, name: str) -> Response:
    with context.service.ledger.read() as tx:
        offer = visible_offer(tx, context, offer_uid)
    image = image_in(assets_in(offer.content), name)
    if image is None:
        raise not_found("image")
    media_type, data = image
    return Response(data, media_type=media_type, headers={"Content-Security-Policy": "sandbox; default-src 'none'"})


def visible_offer(tx: Cursor, context: PageContext, offer_uid: str) -> OfferView:
    """Returns the offer in the viewed state. Raises Problem 404, also for another partner's offer."""
    offer = find_visible(context.service.ledger, tx, context.caller, offer_uid, context.state.as_of)
    if offer is None:
        raise not_found("offer in this state" if context.state.is_past else "offer")
    return offer


def _holds(tx: Cursor, context: PageContext, offer: OfferView) -> list[EventView]:
    """Returns the newest holds and releases, the newest first."""
    events: list[EventView] = []
    for kind in (OfferHeld, OfferReleased):
        event_filter = EventFilter(offer_uid=offer.offer_uid, type=kind.TOPIC)
        events += event_list.page(tx, event_filter, 0, HOLDS_SHOWN, context.state.position, EventOrder.DESC).items
    return sorted(events, key=lambda event: event.position, reverse=True)[:HOLDS_SHOWN]


def _flights(tx: Cursor, context: PageContext, offer: OfferView) -> list[dict[str, Any]]:
    """Returns the flights in the order of their starts."""
    event_filter = EventFilter(offer_uid=offer.offer_uid, type=FlightScheduled.TOPIC)
    page = event_list.page(tx, event_filter, 0, MAX_FLIGHTS, context.state.position)
    flights = [
        {change["field"].removeprefix("/"): change["after"] for change in item.changes}
        | {"actor": item.actor, "recordedAt": item.recorded_at}
        for item in page.items
    ]
    return sorted(flights, key=lambda flight: str(flight["startsAt"]))
