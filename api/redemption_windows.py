"""Which redemption windows are there, in which state, and what has been redeemed on them?"""

from typing import Annotated
from uuid import UUID

import msgspec
from fastapi import APIRouter, Depends, Query, Request, Response
from msgspec.structs import replace

from api import cursors
from api.auth import Here, may
from api.pages import JSON, next_link
from api.schemas.problem import PROBLEMS
from api.schemas.redemption_windows import WindowList, WindowQuery
from api.schemas.times import read_time
from api.wiring import Service
from domain.activation import WindowState
from domain.store.commit import head_at
from domain.store.cursor import Cursor
from domain.values import Role, from_microseconds, to_microseconds, utc_text
from projections import windows_at
from projections.tokens import Caller
from projections.windows_at import START, Sight, WindowFilter, WindowPage, WindowPlace

MayLook = Annotated[Caller, Depends(may(Role.PARTNER, Role.PUBLISHER, Role.AUDITOR, Role.OPERATOR))]
NUMBERS_OF_A_PLACE = 5

router = APIRouter(tags=["redemptions"], responses=PROBLEMS)


@router.get("/api/v1/redemption-windows", responses={200: {"model": WindowList}})
def list_windows(request: Request, service: Here, caller: MayLook, query: Annotated[WindowQuery, Query()]) -> Response:
    """The windows that match all filters, at a moment: offer by offer, and within an offer by their ends."""
    question = (query.offerUid, query.customerId, query.partner, query.state, query.at)
    start = cursors.decode_places(question, query.cursor, NUMBERS_OF_A_PLACE)
    wanted = WindowFilter(
        offer_uid=UUID(query.offerUid) if query.offerUid else None,
        customer_id=_customer(service, caller, query.customerId),
        partner=query.partner or caller.partner,
        state=WindowState(query.state) if query.state else None,
    )
    is_foreign = caller.partner not in {None, wanted.partner} or (query.customerId and wanted.customer_id is None)
    with service.ledger.recorder.reading() as tx:
        sight, after = _begin(service, tx, query, start)
        page = WindowPage([], None) if is_foreign else windows_at.page(tx, wanted, sight, after, query.limit)
        head = head_at(tx, sight.known)
    place = page.next_after and (to_microseconds(sight.at), to_microseconds(sight.known), *page.next_after)
    next_cursor = cursors.encode(question, place)
    answer = {
        "items": _as_seen(service, caller, page),
        "nextCursor": next_cursor,
        "at": utc_text(sight.at),
        "position": head.position,
        "asOf": utc_text(head.recorded_at) if head.recorded_at else None,
    }
    return Response(msgspec.json.encode(answer), headers=next_link(request.url, next_cursor), media_type=JSON)


def _begin(
    service: Service, tx: Cursor, query: WindowQuery, start: tuple[int, ...] | None
) -> tuple[Sight, WindowPlace]:
    """Every page of a list looks at the moment of the first one, by what was known then."""
    if start is not None:
        at, known, *place = start
        return Sight(from_microseconds(at), from_microseconds(known)), WindowPlace(*place)
    now = service.ledger.present(tx)
    return Sight(read_time(query.at) if query.at else now, now), START


def _customer(service: Service, caller: Caller, asked: str | None) -> str | None:
    if asked is None or caller.partner is None:
        return asked
    return service.pseudonyms.customer(caller.partner, asked)


def _as_seen(service: Service, caller: Caller, page: WindowPage) -> list[windows_at.WindowView]:
    if caller.partner is None:
        return page.items
    partner = caller.partner
    return [replace(item, customer_id=service.pseudonyms.of(partner, item.customer_id)) for item in page.items]
