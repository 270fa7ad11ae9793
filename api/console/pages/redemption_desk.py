"""Is this customer owed a reward for this purchase, on which terms, and until when?"""

from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from fastapi import APIRouter, Response

from api.console.page_context import Deciding, Visit
from api.console.rendering import DESK, render, title_of
from api.console.routing import ConsoleRoute
from api.console.time_travel import input_value, read_moment
from api.http.query_params import uid
from api.offers.queries import find_offer, offer_page
from api.redemption.verdict_routes import verdict_document
from domain.refusals import UnknownOffer
from domain.values import utc_text
from projections.offers.inventory import OfferFilter, OfferView

OFFERS_SHOWN = 20

router = APIRouter(include_in_schema=False, route_class=ConsoleRoute)


@router.get(DESK)
def show_desk(visit: Deciding) -> Response:
    customer, offer, time = visit.id("customerId"), visit.id("offerUid"), visit.given("transactedAt")
    transacted_at = read_moment(time, "transactedAt") if time else visit.moment.at
    found = _offers(visit, offer) if offer else []
    verdict = None
    if customer and len(found) == 1:
        verdict = _verdict(visit, customer, found[0].offer_uid, transacted_at)
    return render(
        visit,
        "desk.html",
        "Redemption desk",
        customer=customer,
        offer=offer,
        found=found,
        about=found[0] if len(found) == 1 else None,
        transacted_at=input_value(transacted_at),
        verdict=verdict,
    )


def _offers(visit: Visit, named: str) -> list[OfferView]:
    """The offer of this UID, or those of this id of a partner's, as they were at the moment."""
    ledger, asked, offer_uid = visit.service.ledger, visit.moment.asked, uid(named)
    if offer_uid is None:
        found: list[OfferView] = offer_page(ledger, OfferFilter(external_id=named), asked, None, OFFERS_SHOWN)["items"]
        return found
    with ledger.reading() as tx:
        known = find_offer(ledger, tx, offer_uid, asked)
    return [known] if known else []


def _verdict(visit: Visit, customer: str, offer_uid: UUID, transacted_at: datetime) -> dict[str, Any] | None:
    """As known at the moment; None if the offer was not known then."""
    moment = visit.moment
    as_of = (moment.recorded_at or moment.at) if moment.is_past else None
    try:
        told = verdict_document(visit.service.ledger, customer, offer_uid, transacted_at, as_of)
    except UnknownOffer:
        return None
    content = msgspec.json.decode(told["content"]) if told["content"] else None
    return told | {"content": content, "title": title_of(content) if content else None, "at": utc_text(transacted_at)}
