"""Which offers are there, and what has happened to each?"""

from typing import Annotated

import msgspec
from fastapi import APIRouter, Depends, Query, Request, Response

from api.dependencies.authentication import require_roles
from api.dependencies.read_routing import ReplicaReads, fall_back_to_primary
from api.http import pagination
from api.http.as_of import NOW, AsOf, parse_as_of
from api.http.pagination import JSON, next_link
from api.http.problem_schemas import PROBLEMS
from api.http.problems import not_found
from api.http.query_params import AsOfParams, OfferUid
from api.offers.queries import count_document, find_visible, offer_page
from api.offers.schemas import CountQuery, HistoryList, HistoryQuery, OfferCounts, OfferList, OfferQuery, OfferReply
from api.server.retry_route import RetryingRoute
from domain.ledgers.ledger import LedgerReader
from domain.values import Channel, Role, Status
from projections.access.tokens import Caller
from projections.audit import offer_history
from projections.offers.inventory import OfferFilter, OfferView

MayList = Annotated[Caller, Depends(require_roles(Role.PARTNER, Role.PUBLISHER, Role.AUDITOR, Role.OPERATOR))]
MayRead = Annotated[Caller, Depends(require_roles(Role.PARTNER, Role.AUDITOR, Role.OPERATOR))]


router = APIRouter(prefix="/api/v1/offers", tags=["offers"], responses=PROBLEMS, route_class=RetryingRoute)


@router.get("", responses={200: {"model": OfferList}})
@fall_back_to_primary
def list_offers(
    request: Request, reads: ReplicaReads, caller: MayList, query: Annotated[OfferQuery, Query()]
) -> Response:
    """The offers that match all filters, deleted ones too unless `status` says otherwise, in order of creation."""
    wanted = OfferFilter(
        partner=query.partner or caller.partner,
        channel=Channel(query.channel) if query.channel else None,
        merchant_id=query.merchantId,
        external_id=query.externalId,
        status=Status(query.status) if query.status else None,
        q=query.q,
        redeemable=None if query.redeemable is None else query.redeemable == "true",
    )
    visible, state = caller.partner in {None, wanted.partner}, parse_as_of(query.asOf, query.asOfPosition)
    body = offer_page(reads, wanted, state, query.cursor, query.limit, visible=visible)
    headers = next_link(request.url, body["nextCursor"])
    return Response(msgspec.json.encode(body), headers=headers, media_type=JSON)


@router.get("/counts", responses={200: {"model": OfferCounts}})
@fall_back_to_primary
def count_offers(reads: ReplicaReads, caller: MayRead, query: Annotated[CountQuery, Query()]) -> Response:
    """How many offers are in each state now, or were then."""
    partner = query.partner or caller.partner
    channel = Channel(query.channel) if query.channel else None
    visible, state = caller.partner in {None, partner}, parse_as_of(query.asOf, query.asOfPosition)
    body = count_document(reads, partner, channel, state, visible=visible)
    return Response(msgspec.json.encode(body), media_type=JSON)


@router.get("/{offerUid}", responses={200: {"model": OfferReply}, 304: {"description": "Not changed"}})
@fall_back_to_primary
def get_offer(
    request: Request, reads: ReplicaReads, caller: MayRead, offer_uid: OfferUid, query: Annotated[AsOfParams, Query()]
) -> Response:
    """One offer as it is now, or as it was; its ETag is its version."""
    offer = _visible_offer(reads, caller, offer_uid, parse_as_of(query.asOf, query.asOfPosition))
    etag = f'"{offer.version}"'
    if {etag, "*"} & _etags(request.headers.get("If-None-Match", "")):
        return Response(status_code=304, headers={"ETag": etag})
    return Response(msgspec.json.encode(offer), headers={"ETag": etag}, media_type=JSON)


@router.get("/{offerUid}/history", responses={200: {"model": HistoryList}})
@fall_back_to_primary
def get_history(
    request: Request, reads: ReplicaReads, caller: MayRead, offer_uid: OfferUid, query: Annotated[HistoryQuery, Query()]
) -> Response:
    """Every event of the offer, oldest first, with the fields that it changed."""
    offer = _visible_offer(reads, caller, offer_uid)
    question = ("history", offer.offer_uid)
    with reads.read() as tx:
        page = offer_history.page(tx, offer.offer_uid, pagination.decode_cursor(question, query.cursor), query.limit)
    next_cursor = pagination.encode_cursor(question, page.next_after)
    body = {"items": page.items, "nextCursor": next_cursor}
    return Response(msgspec.json.encode(body), headers=next_link(request.url, next_cursor), media_type=JSON)


def _visible_offer(reads: LedgerReader, caller: Caller, offer_uid: str, state: AsOf = NOW) -> OfferView:
    """Raises Problem 404: also for another partner's offer, whose existence is nobody else's business."""
    with reads.read() as tx:
        offer = find_visible(reads, tx, caller.partner, offer_uid, state)
    if offer is None:
        raise not_found("offer")
    return offer


def _etags(header: str) -> set[str]:
    """What If-None-Match names, compared weakly (RFC 9110, 13.1.2)."""
    return {tag.strip().removeprefix("W/") for tag in header.split(",")}
