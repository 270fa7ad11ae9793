"""The page Redemption desk: the verdict on a purchase, with the activation and the terms that it is based on."""

from datetime import datetime
from typing import Any
from uuid import UUID

from fastapi import APIRouter, Response

from api.console.content_view import shown_content
from api.console.page_context import PageContext, VerdictPage
from api.console.rendering import DESK, render, title_of
from api.console.routing import ConsoleRoute
from api.console.time_travel import input_value, parse_time_field
from api.http.query_params import uid
from api.offers.queries import find_offer, offer_page
from api.redemption.verdict_routes import verdict_document
from domain.refusals import UnknownOffer
from domain.values import utc_text
from projections.offers.inventory import OfferFilter, OfferView

OFFERS_SHOWN = 20

router = APIRouter(include_in_schema=False, route_class=ConsoleRoute)


@router.get(DESK)
def show_desk(context: VerdictPage) -> Response:
    customer, offer, time = context.id("customerId"), context.id("offerUid"), context.param("transactedAt")
    transacted_at = parse_time_field(time, "transactedAt") if time else context.state.evaluated_at
    offers = _find_offers(context, offer) if offer else []
    verdict = None
    if customer and len(offers) == 1:
        verdict = _verdict(context, customer, offers[0].offer_uid, transacted_at)
    return render(
        context,
        "desk.html",
        "Redemption desk",
        customer=customer,
        offer=offer,
        offers=offers,
        selected=offers[0] if len(offers) == 1 else None,
        transacted_at=input_value(transacted_at),
        verdict=verdict,
    )


def _find_offers(context: PageContext, text: str) -> list[OfferView]:
    """Returns the offer with this UID, or the offers to which a partner has given this id, in the viewed state."""
    ledger, as_of, offer_uid = context.service.ledger, context.state.as_of, uid(text)
    if offer_uid is None:
        offers: list[OfferView] = offer_page(ledger, OfferFilter(external_id=text), as_of, None, OFFERS_SHOWN)["items"]
        return offers
    with ledger.read() as tx:
        offer = find_offer(ledger, tx, offer_uid, as_of)
    return [offer] if offer else []


def _verdict(context: PageContext, customer: str, offer_uid: UUID, transacted_at: datetime) -> dict[str, Any] | None:
    """Returns the verdict as of the viewed state, or None if the offer did not exist in it."""
    state = context.state
    as_of = (state.recorded_at or state.evaluated_at) if state.is_past else None
    try:
        document = verdict_document(context.service.ledger, customer, offer_uid, transacted_at, as_of)
    except UnknownOffer:
        return None
    content = document["content"]
    shown = shown_content(content) if content else None
    return document | {"content": shown, "title": title_of(content), "at": utc_text(transacted_at)}
