"""What has happened in the ledger? As pages, or all of it as it is read."""

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import chain
from typing import Annotated, Any
from uuid import UUID

import msgspec
from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import StreamingResponse
from msgspec.structs import replace

from api import cursors
from api.accept import preferred
from api.auth import Here, may
from api.pages import JSON, next_link
from api.problems import validation_error
from api.row_formats import CLOUD_EVENTS, CSV, LINES, as_cloud_events, as_csv, as_lines
from api.schemas.audit_events import EventList, EventQuery, EventWish
from api.schemas.messages import Complaint
from api.schemas.problem import PROBLEMS
from api.schemas.times import read_time
from api.wiring import Service
from domain.events import OfferActivated, OfferRedeemed, RedemptionRefused
from domain.ledger import OfferLedger
from domain.store.commit import head_of
from domain.values import Role, Watch, unwatched
from projections import event_list
from projections.event_item import EventItem
from projections.event_list import EventFilter
from projections.tokens import Caller

DEFAULT_LIMIT = 100
ITEMS_PER_READ = 500
CUSTOMERS = {event.TOPIC for event in (OfferActivated, OfferRedeemed, RedemptionRefused)}
CUSTOMER = "/customerId"
"""The field in which they tell of a customer."""

MayAudit = Annotated[Caller, Depends(may(Role.PARTNER, Role.AUDITOR, Role.OPERATOR))]
Show = Callable[[EventItem], EventItem]
FORMATS: dict[str, Callable[[Iterable[Sequence[EventItem]]], Iterator[bytes]]] = {
    LINES: as_lines,
    CSV: partial(as_csv, EventItem),
    CLOUD_EVENTS: as_cloud_events,
}
"""By media type."""

router = APIRouter(prefix="/api/v1/audit", tags=["audit"], responses=PROBLEMS)
_BODIES: dict[str, Any] = {form: {"schema": {"type": "string"}} for form in FORMATS}


@router.get("/events", responses={200: {"model": EventList, "content": _BODIES}})
def list_events(request: Request, service: Here, caller: MayAudit, query: Annotated[EventQuery, Query()]) -> Response:
    """The events that match all filters, in the order of the ledger. `Accept` application/x-ndjson, text/csv or
    application/cloudevents+json: all of them until now, as one stream; `afterPosition` resumes it."""
    since, before = (read_time(text) if text else None for text in (query.from_, query.to))
    if since and before and before < since:
        raise validation_error([Complaint(("query", "to"), "must not be before from")])
    wanted = replace(filter_of(query, caller), since=since, before=before)
    question = (wanted, query.afterPosition)
    after = max(cursors.decode(question, query.cursor), query.afterPosition or 0)
    form = preferred(request.headers.getlist("Accept"), (JSON, *FORMATS))
    show, visible = shown_to(service, caller), is_visible(caller, wanted)
    if form != JSON:
        some = reading(service.ledger, wanted, after, query.limit) if visible else iter(())
        pieces = FORMATS[form]([show(item) for item in items] for items in some)
        return StreamingResponse(_begun(pieces), media_type=form)
    items, next_after = list[EventItem](), None
    if visible:
        with service.ledger.recorder.reading() as tx:
            page = event_list.page(tx, wanted, after, query.limit or DEFAULT_LIMIT)
        items, next_after = list(map(show, page.items)), page.next_after
    next_cursor = cursors.encode(question, next_after)
    body = msgspec.json.encode({"items": items, "nextCursor": next_cursor})
    return Response(body, headers=next_link(request.url, next_cursor), media_type=JSON)


def filter_of(query: EventWish, caller: Caller) -> EventFilter:
    return EventFilter(
        partner=query.partner or caller.partner,
        offer_uid=UUID(query.offerUid) if query.offerUid else None,
        type=query.type,
        run_id=UUID(query.runId) if query.runId else None,
        trace_id=query.traceId,
        actor=query.actor,
    )


def is_visible(caller: Caller, wanted: EventFilter) -> bool:
    return caller.partner in {None, wanted.partner}


def shown_to(service: Service, caller: Caller) -> Show:
    """A partner knows its customers by their pseudonyms."""
    partner = caller.partner
    if partner is None:
        return lambda item: item

    def show(item: EventItem) -> EventItem:
        if item.type not in CUSTOMERS:
            return item
        changes = [
            change | {"after": service.pseudonyms.of(partner, change["after"])}
            if change["field"] == CUSTOMER
            else change
            for change in item.changes
        ]
        return replace(item, changes=changes)

    return show


def reading(
    ledger: OfferLedger,
    wanted: EventFilter,
    after: int,
    limit: int | None = None,
    until: int | None = None,
    watch: Watch = unwatched,
) -> Iterator[list[EventItem]]:
    """All events until a position, or now, or as many; read bit by bit, for there may be millions, and their reader may be
    slow."""
    if until is None:
        with ledger.recorder.reading() as tx:
            until = head_of(tx).position
    remaining = sys.maxsize if limit is None else limit
    following: int | None = after
    while following is not None and remaining:
        watch(following, until)
        with ledger.recorder.reading() as tx:
            page = event_list.page(tx, wanted, following, min(remaining, ITEMS_PER_READ), until)
        yield page.items
        following = page.next_after
        remaining -= len(page.items)
    watch(until, until)


def _begun(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """What can't be read at all is told by a status, which nobody can take back later."""
    return chain([next(pieces, b"")], pieces)
