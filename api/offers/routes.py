"""The offers API: list, count and read offers, and read an offer's history."""

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from api.dependencies.authentication import ServiceDep
from api.dependencies.partner_filter import partner_filter
from api.dependencies.read_routing import ReplicaReads, fall_back_to_primary
from api.dependencies.roles import AnyCaller, PartnerReader
from api.http.as_of import parse_as_of, set_inside_commits
from api.http.pagination import PageCursors, next_link
from api.http.problems import not_found
from api.http.query_params import AsOfParams, OfferUid, uid
from api.http.replies import json_response
from api.offers.queries import count_document, entity_tag, find_visible, offer_page
from api.offers.schemas import CountQuery, HistoryList, HistoryQuery, OfferCounts, OfferList, OfferQuery, OfferReply
from api.parsing.entity_tags import IF_NONE_MATCH, is_not_modified
from api.server.retry_route import RetryingRoute
from domain.values import Channel, Status
from projections.audit import offer_history
from projections.offers import inventory
from projections.offers.inventory import OfferFilter

router = APIRouter(prefix="/api/v1/offers", tags=["offers"], route_class=RetryingRoute)


@router.get("", responses={200: {"model": OfferList}})
@fall_back_to_primary
def list_offers(
    request: Request,
    service: ServiceDep,
    reads: ReplicaReads,
    caller: AnyCaller,
    query: Annotated[OfferQuery, Query()],
) -> Response:
    """List the offers that match all filters, in the order of their creation. Deleted offers are included unless
    `status` excludes them."""
    offer_filter = OfferFilter(
        partner=partner_filter(service, caller, query.partner),
        channel=Channel(query.channel) if query.channel else None,
        merchant_id=query.merchantId,
        external_id=query.externalId,
        status=Status(query.status) if query.status else None,
        q=query.q,
        redeemable=None if query.redeemable is None else query.redeemable == "true",
    )
    visible, as_of = caller.sees(offer_filter.partner), parse_as_of(query.asOf, query.asOfPosition)
    set_inside_commits(request, reads, as_of)
    body = offer_page(reads, offer_filter, as_of, query.cursor, query.limit, visible=visible)
    headers = next_link(request.url, body["nextCursor"])
    return json_response(body, headers=headers)


@router.get("/counts", responses={200: {"model": OfferCounts}})
@fall_back_to_primary
def count_offers(
    request: Request,
    service: ServiceDep,
    reads: ReplicaReads,
    caller: PartnerReader,
    query: Annotated[CountQuery, Query()],
) -> Response:
    """Count the offers by status, now or as of a past state."""
    partner = partner_filter(service, caller, query.partner)
    channel = Channel(query.channel) if query.channel else None
    visible, as_of = caller.sees(partner), parse_as_of(query.asOf, query.asOfPosition)
    set_inside_commits(request, reads, as_of)
    body = count_document(reads, partner, channel, as_of, visible=visible)
    return json_response(body)


@router.get("/{offerUid}", responses={200: {"model": OfferReply}, 304: {"description": "The offer has not changed"}})
@fall_back_to_primary
def get_offer(
    request: Request,
    reads: ReplicaReads,
    caller: PartnerReader,
    offer_uid: OfferUid,
    query: Annotated[AsOfParams, Query()],
) -> Response:
    """Get one offer, now or as of a past state. Its ETag changes whenever the reply changes."""
    as_of = parse_as_of(query.asOf, query.asOfPosition)
    set_inside_commits(request, reads, as_of)
    with reads.read() as tx:
        offer = find_visible(reads, tx, caller, offer_uid, as_of)
    if offer is None:
        # Another partner's offer gets the same reply, so that it does not reveal that the offer exists.
        raise not_found("offer")
    headers = {"ETag": entity_tag(offer)}
    if is_not_modified(request.headers.getlist(IF_NONE_MATCH), headers["ETag"]):
        return Response(status_code=304, headers=headers)
    return json_response(offer, headers=headers)


@router.get("/{offerUid}/history", responses={200: {"model": HistoryList}})
@fall_back_to_primary
def get_history(
    request: Request,
    reads: ReplicaReads,
    caller: PartnerReader,
    offer_uid: OfferUid,
    query: Annotated[HistoryQuery, Query()],
) -> Response:
    """List all events of an offer, oldest first, each with the fields that it changed."""
    parsed_uid = uid(offer_uid)
    with reads.read() as tx:
        if parsed_uid is None or not inventory.exists(tx, parsed_uid, caller.partner):
            raise not_found("offer")
        cursors = PageCursors(reads.name_in(tx), ("history", parsed_uid))
        page = offer_history.page(tx, parsed_uid, cursors.decode(query.cursor), query.limit)
    next_cursor = cursors.encode(page.next_after)
    body = {"items": page.items, "nextCursor": next_cursor}
    return json_response(body, headers=next_link(request.url, next_cursor))
