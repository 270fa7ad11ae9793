"""Which offers are there, and how have their numbers come about?"""

from datetime import datetime
from http import HTTPStatus
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse

from api.access.console_sessions import CONSOLE
from api.console.charts import CountsChart, counts_chart
from api.console.page_context import Visit, Visitor
from api.console.rendering import OFFERS, render
from api.console.routing import ConsoleRoute
from api.console.time_travel import evenly, link
from api.offers.queries import offer_page
from domain.store.commit import Head, head_at_position
from domain.values import Channel, Status
from projections.offers import status_counts
from projections.offers.inventory import OfferFilter

PAGE = 50
CHART_POINTS = 40
STATUSES = tuple(str(status) for status in status_counts.COUNTED)
CHANNELS = tuple(map(str, Channel))

router = APIRouter(include_in_schema=False, route_class=ConsoleRoute)


@router.get(CONSOLE)
@router.get(f"{CONSOLE}/")
def begin(request: Request) -> Response:
    return RedirectResponse(link(OFFERS, request.query_params), HTTPStatus.SEE_OTHER)


@router.get(OFFERS)
def list_offers(visit: Visitor) -> Response:
    wanted = _wanted(visit)
    visible = visit.sees(wanted.partner)
    body = offer_page(visit.service.ledger, wanted, visit.moment.asked, visit.given("cursor"), PAGE, visible=visible)
    told: dict[str, Any] = {"counts": None, "chart": None}
    if visit.may_audit and visible:
        told |= _counts(visit, wanted)
    following = body["nextCursor"] and visit.here(cursor=body["nextCursor"])
    return render(
        visit,
        "inventory.html",
        "Offers",
        items=body["items"],
        following=following,
        wanted=wanted,
        statuses=STATUSES,
        channels=CHANNELS,
        is_filtered=wanted != OfferFilter(partner=visit.partner),
        **told,
    )


def _wanted(visit: Visit) -> OfferFilter:
    """Raises Problem 422."""
    status, channel = visit.choice("status", STATUSES), visit.choice("channel", CHANNELS)
    redeemable = visit.choice("redeemable", ("true", "false"))
    return OfferFilter(
        partner=visit.id("partner") or visit.partner,
        channel=Channel(channel) if channel else None,
        merchant_id=visit.id("merchantId"),
        external_id=visit.id("externalId"),
        status=Status(status) if status else None,
        q=visit.id("q"),
        redeemable=None if redeemable is None else redeemable == "true",
    )


def _counts(visit: Visit, wanted: OfferFilter) -> dict[str, Any]:
    """By status at the moment, and on the first page at many before it."""
    moment = visit.moment
    with visit.service.ledger.reading() as tx:
        now = _told(status_counts.counts(tx, wanted.partner, wanted.channel, Head(moment.position, moment.recorded_at)))
        chart: CountsChart | None = None
        first = head_at_position(tx, 1).recorded_at
        if moment.position and first and not visit.given("cursor"):
            moments = list[datetime](evenly(first, max(first, moment.at), CHART_POINTS))
            before = status_counts.counts_over(tx, wanted.partner, wanted.channel, moments[:-1])
            chart = counts_chart(moments, [*map(_told, before), now])
    return {"counts": now, "chart": chart}


def _told(counts: dict[Status, int]) -> dict[str, int]:
    return {str(status): count for status, count in counts.items()}
