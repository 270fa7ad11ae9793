"""The events API: pages of the ledger's events, or one stream of all of them."""

from collections.abc import Callable
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response
from msgspec.structs import replace

from api.audit.event_schemas import EventList, EventListQuery, EventQuery
from api.audit.event_streams import open_stream, start_of_stream
from api.audit.row_formats import CLOUD_EVENTS, CSV, LINES
from api.dependencies.authentication import ServiceDep
from api.dependencies.partner_filter import partner_filter
from api.dependencies.read_routing import ReplicaReads, fall_back_to_primary
from api.dependencies.roles import AuditReader
from api.dependencies.runtime import runtime_of
from api.http.as_of import require_reached_position
from api.http.content_negotiation import preferred
from api.http.pagination import FIRST_PAGE, InvalidCursor, PageCursors, next_link
from api.http.problems import validation_error
from api.http.replies import JSON, json_response
from api.server.retry_route import RetryingRoute
from api.service import Service
from api.validation.field_errors import InvalidField
from api.validation.times import read_time
from domain.ledgers.ledger import LedgerReader
from domain.store.commit import current_head
from domain.values import EventOrder, Source
from projections.access.tokens import Caller
from projections.audit import event_list
from projections.audit.event_item import EventView
from projections.audit.event_list import EventFilter, Span, rest_of, split_trace_id

DEFAULT_LIMIT = 100
VARY = {"Vary": "Accept"}
CUSTOMER = "/customerId"
"""The field of an event with a customer's id. No event uses this name for anything else."""

EventTransform = Callable[[EventView], EventView]
NOTHING = Span(0, 0)
ROW_FORMATS = (LINES, CSV, CLOUD_EVENTS)
"""The media types of streams."""

router = APIRouter(prefix="/api/v1/audit", tags=["audit"], route_class=RetryingRoute)
_BODIES: dict[str, Any] = {media_type: {"schema": {"type": "string"}} for media_type in ROW_FORMATS}


@router.get("/events", responses={200: {"model": EventList, "content": _BODIES}})
@fall_back_to_primary
def list_events(
    request: Request,
    service: ServiceDep,
    reads: ReplicaReads,
    caller: AuditReader,
    query: Annotated[EventListQuery, Query()],
) -> Response:
    """List the events that match all filters, in the order of their positions or the newest first. With `Accept`
    application/x-ndjson, text/csv or application/cloudevents+json, the reply is one stream of all matching events up
    to the newest one. `afterPosition` resumes an interrupted stream with the oldest event first."""
    since, before = (read_time(text) if text else None for text in (query.from_, query.to))
    if since and before and before < since:
        raise validation_error([InvalidField(("query", "to"), "must not be before from")])
    event_filter = replace(filter_of(service, query, caller), since=since, before=before)
    order = EventOrder(query.order)
    cursor_scope = (event_filter, query.afterPosition, order)
    if query.afterPosition is not None:
        with reads.read() as tx:
            require_reached_position(tx, query.afterPosition, "afterPosition")
    after, until = rest_of(order, _place(reads, cursor_scope, query.cursor), Span(query.afterPosition or 0, None))
    media_type = preferred(request.headers.getlist("Accept"), (JSON, *ROW_FORMATS))
    show, visible = pseudonymiser_for(service, caller), is_visible(caller, event_filter)
    if media_type != JSON:
        span = Span(after, until) if visible else NOTHING
        stream = open_stream(reads, event_filter, span, order, show, (media_type, caller.partner))
        return runtime_of(request).streams.answer_batches(
            caller.name, stream.read, start_of_stream(query.limit), media_type, VARY, header=stream.file_format.header
        )
    items, next_cursor = list[EventView](), None
    if visible:
        with reads.read() as tx:
            page = event_list.page(tx, event_filter, after, query.limit or DEFAULT_LIMIT, until, order)
            next_cursor = PageCursors(reads.name_in(tx), cursor_scope).encode(page.next_after)
        items = list(map(show, page.items))
    body = {"items": items, "nextCursor": next_cursor}
    return json_response(body, headers=next_link(request.url, next_cursor) | VARY)


def _place(ledger: LedgerReader, cursor_scope: Any, cursor: str | None) -> int:
    """Returns the position after which the page starts. Raises InvalidCursor."""
    if cursor is None:
        return FIRST_PAGE
    with ledger.read() as tx:
        place = PageCursors(ledger.name_in(tx), cursor_scope).decode(cursor)
        if current_head(tx).position < place:
            raise InvalidCursor
    return place


def filter_of(service: Service, query: EventQuery, caller: Caller) -> EventFilter:
    trace_id, request_trace_id = split_trace_id(query.traceId)
    return EventFilter(
        partner=partner_filter(service, caller, query.partner),
        offer_uid=UUID(query.offerUid) if query.offerUid else None,
        type=query.type,
        run_id=UUID(query.runId) if query.runId else None,
        trace_id=trace_id,
        request_trace_id=request_trace_id,
        actor=query.actor,
        source=Source(query.source) if query.source else None,
    )


def is_visible(caller: Caller, event_filter: EventFilter) -> bool:
    return caller.sees(event_filter.partner)


def pseudonymiser_for(service: Service, caller: Caller) -> EventTransform:
    """Returns a function that replaces customer ids by pseudonyms if the caller is a partner."""
    partner = caller.partner
    if partner is None:
        return lambda item: item

    def shown(change: dict[str, Any]) -> dict[str, Any]:
        if change["field"] != CUSTOMER:
            return change
        return change | {"after": service.pseudonyms.of(partner, change["after"])}

    def show(item: EventView) -> EventView:
        if all(change["field"] != CUSTOMER for change in item.changes):
            return item
        return replace(item, changes=[shown(change) for change in item.changes])

    return show
