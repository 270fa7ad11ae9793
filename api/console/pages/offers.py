"""Which offers are there, and how have their numbers come about?"""

from datetime import datetime
from http import HTTPStatus
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse

from api.access.console_sessions import CONSOLE
from api.console.charts import CountsChart, counts_chart
from api.console.page_context import AnyPage, PageContext
from api.console.rendering import OFFERS, render
from api.console.routing import ConsoleRoute
from api.console.time_travel import evenly_spaced_times, link
from api.offers.queries import offer_page
from domain.store.commit import LedgerHead, head_at_position
from domain.values import Channel, Status
from projections.offers import status_counts
from projections.offers.inventory import OfferFilter

OFFERS_PER_PAGE = 50
CHART_POINTS = 40
STATUSES = tuple(str(status) for status in status_counts.COUNTED)
CHANNELS = tuple(map(str, Channel))

router = APIRouter(include_in_schema=False, route_class=ConsoleRoute)


@router.get(CONSOLE)
@router.get(f"{CONSOLE}/")
def begin(request: Request) -> Response:
    return RedirectResponse(link(OFFERS, request.query_params), HTTPStatus.SEE_OTHER)


@router.get(OFFERS)
def show_offers(context: AnyPage) -> Response:
    wanted = _wanted(context)
    visible = context.sees(wanted.partner)
    body = offer_page(
        context.service.ledger, wanted, context.state.as_of, context.given("cursor"), OFFERS_PER_PAGE, visible=visible
    )
    told: dict[str, Any] = {"counts": None, "chart": None}
    if context.may_audit and visible:
        told |= _counts(context, wanted)
    following = body["nextCursor"] and context.here(cursor=body["nextCursor"])
    return render(
        context,
        "inventory.html",
        "Offers",
        items=body["items"],
        following=following,
        wanted=wanted,
        statuses=STATUSES,
        channels=CHANNELS,
        is_filtered=wanted != OfferFilter(partner=context.partner),
        **told,
    )


def _wanted(context: PageContext) -> OfferFilter:
    """Raises Problem 422."""
    status, channel = context.choice("status", STATUSES), context.choice("channel", CHANNELS)
    redeemable = context.choice("redeemable", ("true", "false"))
    return OfferFilter(
        partner=context.id("partner") or context.partner,
        channel=Channel(channel) if channel else None,
        merchant_id=context.id("merchantId"),
        external_id=context.id("externalId"),
        status=Status(status) if status else None,
        q=context.id("q"),
        redeemable=None if redeemable is None else redeemable == "true",
    )


def _counts(context: PageContext, wanted: OfferFilter) -> dict[str, Any]:
    """By status at the moment, and on the first page at many before it."""
    moment = context.state
    with context.service.ledger.read() as tx:
        now = _told(
            status_counts.counts(tx, wanted.partner, wanted.channel, LedgerHead(moment.position, moment.recorded_at))
        )
        chart: CountsChart | None = None
        first = head_at_position(tx, 1).recorded_at
        if moment.position and first and not context.given("cursor"):
            moments = list[datetime](evenly_spaced_times(first, max(first, moment.evaluated_at), CHART_POINTS))
            before = status_counts.counts_over(tx, wanted.partner, wanted.channel, moments[:-1])
            chart = counts_chart(moments, [*map(_told, before), now])
    return {"counts": now, "chart": chart}


def _told(counts: dict[Status, int]) -> dict[str, int]:
    return {str(status): count for status, count in counts.items()}
