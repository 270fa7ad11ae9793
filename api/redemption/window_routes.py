"""Which redemption windows are there, in which state, and what has been redeemed on them?"""

from datetime import datetime
from typing import Annotated, Any, NamedTuple
from uuid import UUID

import msgspec
from fastapi import APIRouter, Depends, Query, Request, Response
from msgspec.structs import replace

from api.dependencies.authentication import ServiceDep, require_roles
from api.dependencies.read_routing import ReplicaReads, fall_back_to_primary
from api.http import pagination
from api.http.pagination import JSON, head_members, next_link
from api.http.problem_schemas import PROBLEMS
from api.redemption.window_schemas import WindowList, WindowQuery
from api.server.retry_route import RetryingRoute
from api.service import Service
from api.validation.times import read_time
from domain.ledgers.ledger import LedgerReader
from domain.redemption.activation import WindowState
from domain.store.commit import current_head, head_at_time
from domain.store.cursor import Cursor
from domain.values import Role, to_microseconds, utc_text
from projections.access.tokens import Caller
from projections.redemption import windows_as_of
from projections.redemption.windows_as_of import FIRST_WINDOW, Viewpoint, WindowFilter, WindowPage, WindowPlace

MayLook = Annotated[Caller, Depends(require_roles(Role.PARTNER, Role.PUBLISHER, Role.AUDITOR, Role.OPERATOR))]

router = APIRouter(tags=["redemptions"], responses=PROBLEMS, route_class=RetryingRoute)


@router.get("/api/v1/redemption-windows", responses={200: {"model": WindowList}})
@fall_back_to_primary
def list_windows(
    request: Request, service: ServiceDep, reads: ReplicaReads, caller: MayLook, query: Annotated[WindowQuery, Query()]
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


WindowRequest = tuple[WindowFilter, datetime | None]
"""What a cursor belongs to: the filters as they were given, and the moment, if one was."""


class _WindowCursor(NamedTuple):
    """Where a page ended, and what its list looks at; times in microseconds."""

    at: int
    known: int
    offer_id: int
    redeemable_until: int
    activation_id: int


def page_document(
    ledger: LedgerReader, wanted: WindowFilter | None, asked: WindowRequest, cursor: str | None, limit: int
) -> dict[str, Any]:
    """One page as its readers get it, by HTTP and from the command line; none wanted: there is nothing to see. Raises
    InvalidCursor."""
    start = pagination.decode_cursor_as(_WindowCursor, asked, cursor)
    with ledger.read() as tx:
        sight, after = _begin(ledger, tx, asked[1], start)
        head = head_at_time(tx, sight.known_at)
        if start and head.recorded_at != sight.known_at:
            raise pagination.InvalidCursor
        page = windows_as_of.page(tx, wanted, sight, after, limit) if wanted else WindowPage([], None)
    place = page.next_after and _WindowCursor(
        to_microseconds(sight.effective_at), to_microseconds(sight.known_at), *page.next_after
    )
    return {
        "items": page.items,
        "nextCursor": pagination.encode_cursor(asked, place),
        "at": utc_text(sight.effective_at),
        **head_members(head),
    }


def _begin(
    ledger: LedgerReader, tx: Cursor, asked_at: datetime | None, start: _WindowCursor | None
) -> tuple[Viewpoint, WindowPlace]:
    """Every page of a list looks at the moment of the first one, by what was known then."""
    if start is not None:
        sight = Viewpoint(pagination.cursor_time(start.at), pagination.cursor_time(start.known))
        return sight, WindowPlace(start.offer_id, start.redeemable_until, start.activation_id)
    now = ledger.now(tx)
    return Viewpoint(asked_at or now, current_head(tx).recorded_at or now), FIRST_WINDOW


def _own(service: Service, partner: str, asked: WindowFilter) -> WindowFilter | None:
    """What a partner may see of what it asks for; it knows its customers by their pseudonyms."""
    if asked.partner != partner:
        return None
    if asked.customer_id is None:
        return asked
    customer_id = service.pseudonyms.customer(partner, asked.customer_id)
    return replace(asked, customer_id=customer_id) if customer_id else None


def as_seen(service: Service, partner: str, item: windows_as_of.WindowView) -> windows_as_of.WindowView:
    """A partner knows its customers by their pseudonyms."""
    return replace(item, customer_id=service.pseudonyms.of(partner, item.customer_id))
