"""Which offers are there, and how have their numbers come about?"""

from datetime import datetime
from http import HTTPStatus
from typing import Any, TypeVar

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse

from api.console.charts import CountsChart, counts_chart
from api.console.console_route import ConsoleRoute
from api.console.moment import evenly, link
from api.console.rendering import CONSOLE, OFFERS, render
from api.console.visits import Visit, Visitor
from api.offer_pages import offer_page
from api.problems import validation_error
from api.schemas.messages import Complaint
from domain.store.commit import Head, head_at, head_at_position
from domain.values import MAX_ID_LENGTH, Channel, Status
from projections import status_counts
from projections.inventory import OfferFilter

PAGE = 50
CHART_POINTS = 40
STATUSES = tuple(str(status) for status in status_counts.COUNTED)
CHANNELS = tuple(map(str, Channel))

Word = TypeVar("Word", bound=str)

router = APIRouter(include_in_schema=False, route_class=ConsoleRoute)


@router.get(CONSOLE)
@router.get(f"{CONSOLE}/")
def begin(request: Request) -> Response:
    return RedirectResponse(link(OFFERS, request.query_params), HTTPStatus.SEE_OTHER)


@router.get(OFFERS)
def list_offers(visit: Visitor) -> Response:
    wanted = _wanted(visit)
    visible = visit.partner in {None, wanted.partner}
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
    status, channel = one_of(visit, "status", STATUSES), one_of(visit, "channel", CHANNELS)
    redeemable = one_of(visit, "redeemable", ("true", "false"))
    return OfferFilter(
        partner=word(visit, "partner") or visit.partner,
        channel=Channel(channel) if channel else None,
        merchant_id=word(visit, "merchantId"),
        external_id=word(visit, "externalId"),
        status=Status(status) if status else None,
        q=word(visit, "q"),
        redeemable=None if redeemable is None else redeemable == "true",
    )


def word(visit: Visit, name: str) -> str | None:
    """A parameter that is a text. Raises Problem 422."""
    given = visit.given(name)
    if given and len(given) > MAX_ID_LENGTH:
        raise validation_error([Complaint(("query", name), f"must have at most {MAX_ID_LENGTH} characters")])
    if given and "\0" in given:
        raise validation_error([Complaint(("query", name), "must not contain the character U+0000")])
    return given


def one_of(visit: Visit, name: str, words: tuple[Word, ...]) -> Word | None:
    """A parameter that is one of a few words. Raises Problem 422."""
    given = visit.given(name)
    if given is None:
        return None
    for one in words:
        if one == given:
            return one
    raise validation_error([Complaint(("query", name), f"must be one of {', '.join(words)}")])


def _counts(visit: Visit, wanted: OfferFilter) -> dict[str, Any]:
    """By status at the moment, and at many before it."""
    ledger, moment = visit.service.ledger, visit.moment
    with ledger.reading() as tx:

        def counts(head: Head) -> dict[str, int]:
            found = status_counts.counts(tx, wanted.partner, wanted.channel, head)
            return {str(status): count for status, count in found.items()}

        now = Head(moment.position, moment.recorded_at)
        first = head_at_position(tx, 1).recorded_at
        chart: CountsChart | None = None
        if moment.position and first:
            moments = list[datetime](evenly(first, max(first, moment.at), CHART_POINTS))
            before = [counts(head_at(tx, at)) for at in moments[:-1]]
            chart = counts_chart(moments, [*before, counts(now)])
        return {"counts": counts(now), "chart": chart}
