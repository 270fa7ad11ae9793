"""Which redemption windows are there, in which state, and what has been redeemed on them?"""

from datetime import datetime
from typing import Annotated, Any, NamedTuple
from uuid import UUID

import msgspec
from fastapi import APIRouter, Depends, Query, Request, Response
from msgspec.structs import replace

from api.dependencies.authentication import Here, may
from api.dependencies.read_routing import AnyReads, answered_by_either
from api.http import pagination as cursors
from api.http.pagination import JSON, next_link, told_of_head
from api.http.problem_schemas import PROBLEMS
from api.redemption.window_schemas import WindowList, WindowQuery
from api.server.retry_route import ReadAgain
from api.service import Service
from api.validation.times import read_time
from domain.ledgers.ledger import Snapshots
from domain.redemption.activation import WindowState
from domain.store.commit import head_at, head_of
from domain.store.cursor import Cursor
from domain.values import Role, to_microseconds, utc_text
from projections.access.tokens import Caller
from projections.redemption import windows_as_of as windows_at
from projections.redemption.windows_as_of import START, Sight, WindowFilter, WindowPage, WindowPlace

MayLook = Annotated[Caller, Depends(may(Role.PARTNER, Role.PUBLISHER, Role.AUDITOR, Role.OPERATOR))]

router = APIRouter(tags=["redemptions"], responses=PROBLEMS, route_class=ReadAgain)


@router.get("/api/v1/redemption-windows", responses={200: {"model": WindowList}})
@answered_by_either
def list_windows(
    request: Request, service: Here, reads: AnyReads, caller: MayLook, query: Annotated[WindowQuery, Query()]
) -> Response:
    """The windows that match all filters, at a moment: offer by offer, and within an offer by their ends."""
    at = read_time(query.at) if query.at else None
    asked = WindowFilter(
        offer_uid=UUID(query.offerUid) if query.offerUid else None,
        customer_id=query.customerId,
        partner=query.partner or caller.partner,
        state=WindowState(query.state) if query.state else None,
    )
    wanted = asked if caller.partner is None else _own(service, caller.partner, asked)
    document = page_document(reads, wanted, (asked, at), query.cursor, query.limit)
    if caller.partner is not None:
        document["items"] = [as_seen(service, caller.partner, item) for item in document["items"]]
    headers = next_link(request.url, document["nextCursor"])
    return Response(msgspec.json.encode(document), headers=headers, media_type=JSON)


Asked = tuple[WindowFilter, datetime | None]
"""What a cursor belongs to: the filters as they were given, and the moment, if one was."""


class _Place(NamedTuple):
    """Where a page ended, and what its list looks at; times in microseconds."""

    at: int
    known: int
    offer_id: int
    redeemable_until: int
    activation_id: int


def page_document(
    ledger: Snapshots, wanted: WindowFilter | None, asked: Asked, cursor: str | None, limit: int
) -> dict[str, Any]:
    """One page as its readers get it, by HTTP and from the command line; none wanted: there is nothing to see. Raises
    InvalidCursor."""
    start = cursors.decode_as(_Place, asked, cursor)
    with ledger.reading() as tx:
        sight, after = _begin(ledger, tx, asked[1], start)
        head = head_at(tx, sight.known)
        if start and head.recorded_at != sight.known:
            raise cursors.InvalidCursor
        page = windows_at.page(tx, wanted, sight, after, limit) if wanted else WindowPage([], None)
    place = page.next_after and _Place(to_microseconds(sight.at), to_microseconds(sight.known), *page.next_after)
    return {
        "items": page.items,
        "nextCursor": cursors.encode(asked, place),
        "at": utc_text(sight.at),
        **told_of_head(head),
    }


def _begin(ledger: Snapshots, tx: Cursor, asked_at: datetime | None, start: _Place | None) -> tuple[Sight, WindowPlace]:
    """Every page of a list looks at the moment of the first one, by what was known then."""
    if start is not None:
        sight = Sight(cursors.moment(start.at), cursors.moment(start.known))
        return sight, WindowPlace(start.offer_id, start.redeemable_until, start.activation_id)
    now = ledger.present(tx)
    return Sight(asked_at or now, head_of(tx).recorded_at or now), START


def _own(service: Service, partner: str, asked: WindowFilter) -> WindowFilter | None:
    """What a partner may see of what it asks for; it knows its customers by their pseudonyms."""
    if asked.partner != partner:
        return None
    if asked.customer_id is None:
        return asked
    customer_id = service.pseudonyms.customer(partner, asked.customer_id)
    return replace(asked, customer_id=customer_id) if customer_id else None


def as_seen(service: Service, partner: str, item: windows_at.WindowView) -> windows_at.WindowView:
    """A partner knows its customers by their pseudonyms."""
    return replace(item, customer_id=service.pseudonyms.of(partner, item.customer_id))
