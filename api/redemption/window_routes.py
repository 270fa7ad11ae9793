"""The redemption windows API: windows with their states and what was redeemed on them."""

from datetime import datetime
from typing import Annotated, Any, NamedTuple
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response
from msgspec.structs import replace

from api.dependencies.authentication import ServiceDep
from api.dependencies.partner_filter import partner_filter
from api.dependencies.read_routing import ReplicaReads, fall_back_to_primary
from api.dependencies.roles import AnyCaller
from api.http.pagination import InvalidCursor, PageCursors, cursor_time, head_members, next_link
from api.http.replies import json_response
from api.redemption.window_schemas import WindowList, WindowQuery
from api.server.retry_route import RetryingRoute
from api.service import Service
from api.validation.times import read_time
from domain.ledgers.ledger import LedgerReader
from domain.redemption.activation import WindowState
from domain.store.commit import applicable_time, current_head, head_at_time
from domain.store.cursor import Cursor
from domain.values import to_microseconds, utc_text
from projections.redemption import windows_as_of
from projections.redemption.windows_as_of import FIRST_WINDOW, Viewpoint, WindowFilter, WindowPage, WindowPlace

router = APIRouter(tags=["redemptions"], route_class=RetryingRoute)


@router.get("/api/v1/redemption-windows", responses={200: {"model": WindowList}})
@fall_back_to_primary
def list_windows(
    request: Request,
    service: ServiceDep,
    reads: ReplicaReads,
    caller: AnyCaller,
    query: Annotated[WindowQuery, Query()],
) -> Response:
    """List the redemption windows that match all filters, as of a time. The order is: oldest offer first, and within
    an offer by the end of the window."""
    at = read_time(query.at) if query.at else None
    sent_filter = WindowFilter(
        offer_uid=UUID(query.offerUid) if query.offerUid else None,
        customer_id=query.customerId,
        partner=partner_filter(service, caller, query.partner),
        state=WindowState(query.state) if query.state else None,
    )
    window_filter = sent_filter if caller.partner is None else _filter_for_partner(service, caller.partner, sent_filter)
    document = windows_document(reads, window_filter, (sent_filter, at), query.cursor, query.limit)
    if caller.partner is not None:
        document["items"] = [with_pseudonym(service, caller.partner, item) for item in document["items"]]
    headers = next_link(request.url, document["nextCursor"])
    return json_response(document, headers=headers)


WindowRequest = tuple[WindowFilter, datetime | None]
"""The scope of a cursor: the filters as the caller sent them, and the requested time."""


class _WindowCursor(NamedTuple):
    """The place of a page's last window, and the viewpoint of its list. Times are in microseconds."""

    at: int
    known_at: int
    statuses_at: int
    offer_id: int
    redeemable_until: int
    activation_id: int


def windows_document(
    ledger: LedgerReader, window_filter: WindowFilter | None, request: WindowRequest, cursor: str | None, limit: int
) -> dict[str, Any]:
    """Returns one page of windows, for HTTP and the command line. Without `window_filter` the page is empty. Raises
    InvalidCursor."""
    with ledger.read() as tx:
        cursors = PageCursors(ledger.name_in(tx), request)
        start = cursors.decode_as(_WindowCursor, cursor)
        viewpoint, after = _start_of_page(ledger, tx, request[1], start)
        head = head_at_time(tx, viewpoint.known_at)
        if start and head.recorded_at != viewpoint.known_at:
            raise InvalidCursor
        page = windows_as_of.page(tx, window_filter, viewpoint, after, limit) if window_filter else WindowPage([], None)
    place = page.next_after and _WindowCursor(
        to_microseconds(viewpoint.effective_at),
        to_microseconds(viewpoint.known_at),
        to_microseconds(viewpoint.statuses_at),
        *page.next_after,
    )
    return {
        "items": page.items,
        "nextCursor": cursors.encode(place),
        "at": utc_text(viewpoint.effective_at),
        **head_members(head),
    }


def _start_of_page(
    ledger: LedgerReader, tx: Cursor, requested_at: datetime | None, start: _WindowCursor | None
) -> tuple[Viewpoint, WindowPlace]:
    """Returns the viewpoint, and the place after which the page starts. All pages have the viewpoint of the first
    one."""
    if start is not None:
        viewpoint = Viewpoint(*map(cursor_time, (start.at, start.known_at, start.statuses_at)))
        return viewpoint, WindowPlace(start.offer_id, start.redeemable_until, start.activation_id)
    now = ledger.now(tx)
    known_at, applies_at = current_head(tx).recorded_at or now, applicable_time(tx, requested_at, now)
    return Viewpoint(requested_at or now, known_at, applies_at), FIRST_WINDOW


def _filter_for_partner(service: Service, partner: str, sent_filter: WindowFilter) -> WindowFilter | None:
    """Returns the filter with the customer's id instead of the pseudonym. Returns None if the partner may see no
    window."""
    if sent_filter.partner != partner:
        return None
    if sent_filter.customer_id is None:
        return sent_filter
    customer_id = service.pseudonyms.customer(partner, sent_filter.customer_id)
    return replace(sent_filter, customer_id=customer_id) if customer_id else None


def with_pseudonym(service: Service, partner: str, item: windows_as_of.WindowView) -> windows_as_of.WindowView:
    """Returns the window with the customer's pseudonym for this partner."""
    return replace(item, customer_id=service.pseudonyms.of(partner, item.customer_id))
