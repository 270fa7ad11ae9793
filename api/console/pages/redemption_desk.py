"""Is this customer owed a reward for this purchase, on which terms, and until when?"""

from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from fastapi import APIRouter, Response

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
    customer, offer, time = context.id("customerId"), context.id("offerUid"), context.given("transactedAt")
    transacted_at = parse_time_field(time, "transactedAt") if time else context.state.evaluated_at
    found = _offers(context, offer) if offer else []
    verdict = None
    if customer and len(found) == 1:
        verdict = _verdict(context, customer, found[0].offer_uid, transacted_at)
    return render(
        context,
        "desk.html",
        "Redemption desk",
        customer=customer,
        offer=offer,
        found=found,
        about=found[0] if len(found) == 1 else None,
        transacted_at=input_value(transacted_at),
        verdict=verdict,
    )


def _offers(context: PageContext, named: str) -> list[OfferView]:
    """The offer of this UID, or those of this id of a partner's, as they were at the moment."""
    ledger, asked, offer_uid = context.service.ledger, context.state.as_of, uid(named)
    if offer_uid is None:
        found: list[OfferView] = offer_page(ledger, OfferFilter(external_id=named), asked, None, OFFERS_SHOWN)["items"]
        return found
    with ledger.read() as tx:
        known = find_offer(ledger, tx, offer_uid, asked)
    return [known] if known else []


def _verdict(context: PageContext, customer: str, offer_uid: UUID, transacted_at: datetime) -> dict[str, Any] | None:
    """As known at the moment; None if the offer was not known then."""
    moment = context.state
    as_of = (moment.recorded_at or moment.evaluated_at) if moment.is_past else None
    try:
        told = verdict_document(context.service.ledger, customer, offer_uid, transacted_at, as_of)
    except UnknownOffer:
        return None
    content = msgspec.json.decode(told["content"]) if told["content"] else None
    return told | {"content": content, "title": title_of(content) if content else None, "at": utc_text(transacted_at)}
