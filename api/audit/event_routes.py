"""What has happened in the ledger? As pages, or all of it as it is read."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Annotated, Any
from uuid import UUID

import msgspec
from fastapi import APIRouter, Query, Request, Response
from msgspec.structs import replace

from api.audit.event_reader import reading
from api.audit.event_schemas import EventList, EventListQuery, EventQuery
from api.dependencies.authentication import Here, MayAudit
from api.dependencies.read_routing import AnyReads, answered_by_either
from api.http import pagination as cursors
from api.http.content_negotiation import preferred
from api.http.pagination import JSON, next_link
from api.http.problem_schemas import PROBLEMS
from api.http.problems import validation_error
from api.http.row_formats import CLOUD_EVENTS, CSV, LINES, as_cloud_events, as_csv, as_lines
from api.server.retry_route import ReadAgain
from api.server.streaming import Streams
from api.service import Service
from api.validation.field_errors import Complaint
from api.validation.times import read_time
from domain.ledgers.ledger import Snapshots
from domain.store.commit import head_of, ledger_name
from projections.access.tokens import Caller
from projections.audit import event_list
from projections.audit.event_item import EventItem
from projections.audit.event_list import EventFilter

DEFAULT_LIMIT = 100
VARY = {"Vary": "Accept"}
CUSTOMER = "/customerId"
"""The field in which events tell of a customer; none has it in another sense."""

Show = Callable[[EventItem], EventItem]
Pieces = Callable[[Iterable[Sequence[EventItem]]], Iterator[bytes]]
FORMS = (LINES, CSV, CLOUD_EVENTS)
"""The media types of streams."""

router = APIRouter(prefix="/api/v1/audit", tags=["audit"], responses=PROBLEMS, route_class=ReadAgain)
_BODIES: dict[str, Any] = {form: {"schema": {"type": "string"}} for form in FORMS}


@router.get("/events", responses={200: {"model": EventList, "content": _BODIES}})
@answered_by_either
def list_events(
    request: Request, service: Here, reads: AnyReads, caller: MayAudit, query: Annotated[EventListQuery, Query()]
) -> Response:
    """The events that match all filters, in the order of the ledger. `Accept` application/x-ndjson, text/csv or
    application/cloudevents+json: all of them until now, as one stream; `afterPosition` resumes it."""
    since, before = (read_time(text) if text else None for text in (query.from_, query.to))
    if since and before and before < since:
        raise validation_error([Complaint(("query", "to"), "must not be before from")])
    wanted = replace(filter_of(query, caller), since=since, before=before)
    question = (wanted, query.afterPosition)
    after = max(_place(reads, question, query.cursor), query.afterPosition or 0)
    form = preferred(request.headers.getlist("Accept"), (JSON, *FORMS))
    show, visible = shown_to(service, caller), is_visible(caller, wanted)
    if form != JSON:
        some = reading(reads, wanted, after, query.limit) if visible else iter(())
        streams: Streams = request.app.state.streams
        return streams.answer(writer(reads, form)([show(item) for item in items] for items in some), form, VARY)
    items, next_after = list[EventItem](), None
    if visible:
        with reads.reading() as tx:
            page = event_list.page(tx, wanted, after, query.limit or DEFAULT_LIMIT)
        items, next_after = list(map(show, page.items)), page.next_after
    next_cursor = cursors.encode(question, next_after)
    body = msgspec.json.encode({"items": items, "nextCursor": next_cursor})
    return Response(body, headers=next_link(request.url, next_cursor) | VARY, media_type=JSON)


def _place(ledger: Snapshots, question: Any, cursor: str | None) -> int:
    """The position after which to go on. Raises InvalidCursor."""
    place = cursors.decode(question, cursor)
    if place:
        with ledger.reading() as tx:
            if head_of(tx).position < place:
                raise cursors.InvalidCursor
    return place


def writer(ledger: Snapshots, form: str) -> Pieces:
    """What writes events in the form of a stream."""
    if form == LINES:
        return as_lines
    if form == CSV:
        return partial(as_csv, EventItem)
    with ledger.reading() as tx:
        return partial(as_cloud_events, f"urn:offer-ledger:{ledger_name(tx)}")


def filter_of(query: EventQuery, caller: Caller) -> EventFilter:
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

    def shown(change: dict[str, Any]) -> dict[str, Any]:
        if change["field"] != CUSTOMER:
            return change
        return change | {"after": service.pseudonyms.of(partner, change["after"])}

    def show(item: EventItem) -> EventItem:
        if all(change["field"] != CUSTOMER for change in item.changes):
            return item
        return replace(item, changes=[shown(change) for change in item.changes])

    return show
