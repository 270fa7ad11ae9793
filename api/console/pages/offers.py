"""The page Offers: search, filters, a list of offers, and their counts by status now and over time."""

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
STATUSES = tuple(str(status) for status in status_counts.COUNTED_STATUSES)
CHANNELS = tuple(map(str, Channel))

router = APIRouter(include_in_schema=False, route_class=ConsoleRoute)


@router.get(CONSOLE)
@router.get(f"{CONSOLE}/")
def redirect_to_offers(request: Request) -> Response:
    return RedirectResponse(link(OFFERS, request.query_params), HTTPStatus.SEE_OTHER)


@router.get(OFFERS)
def show_offers(context: AnyPage) -> Response:
    offer_filter = _offer_filter(context)
    visible = context.sees(offer_filter.partner)
    body = offer_page(
        context.service.ledger,
        offer_filter,
        context.state.as_of,
        context.param("cursor"),
        OFFERS_PER_PAGE,
        visible=visible,
    )
    status_variables: dict[str, Any] = {"counts": None, "chart": None}
    if context.can_audit and visible:
        status_variables |= _counts(context, offer_filter)
    next_page = body["nextCursor"] and context.this_page(cursor=body["nextCursor"])
    return render(
        context,
        "inventory.html",
        "Offers",
        items=body["items"],
        next_page=next_page,
        filter=offer_filter,
        statuses=STATUSES,
        channels=CHANNELS,
        is_filtered=offer_filter != OfferFilter(partner=context.partner),
        **status_variables,
    )


def _offer_filter(context: PageContext) -> OfferFilter:
    """Raises Problem 422."""
    status, channel = context.choice("status", STATUSES), context.choice("channel", CHANNELS)
    redeemable = context.choice("redeemable", ("true", "false"))
    return OfferFilter(
        partner=context.partner_filter,
        channel=Channel(channel) if channel else None,
        merchant_id=context.id("merchantId"),
        external_id=context.id("externalId"),
        status=Status(status) if status else None,
        q=context.id("q"),
        redeemable=None if redeemable is None else redeemable == "true",
    )


def _counts(context: PageContext, offer_filter: OfferFilter) -> dict[str, Any]:
    """Returns the counts by status in the viewed state, and on the first page of the list their chart over time."""
    state, partner, channel = context.state, offer_filter.partner, offer_filter.channel
    with context.service.ledger.read() as tx:
        now = _by_name(status_counts.counts(tx, partner, channel, LedgerHead(state.position, state.recorded_at)))
        chart: CountsChart | None = None
        first = head_at_position(tx, 1).recorded_at
        if state.position and first and not context.param("cursor"):
            last = max(state.evaluated_at, state.recorded_at or first)
            times = list[datetime](evenly_spaced_times(first, last, CHART_POINTS))
            before = status_counts.counts_as_of_times(tx, partner, channel, times[:-1])
            chart = counts_chart(times, [*map(_by_name, before), now])
    return {"counts": now, "chart": chart}


def _by_name(counts: dict[Status, int]) -> dict[str, int]:
    return {str(status): count for status, count in counts.items()}
