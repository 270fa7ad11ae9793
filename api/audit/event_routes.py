"""What has happened in the ledger? As pages, or all of it as it is read."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Annotated, Any
from uuid import UUID

import msgspec
from fastapi import APIRouter, Query, Request, Response
from msgspec.structs import replace

from api.audit.event_reader import read_events
from api.audit.event_schemas import EventList, EventListQuery, EventQuery
from api.dependencies.authentication import MayAudit, ServiceDep
from api.dependencies.read_routing import ReplicaReads, fall_back_to_primary
from api.http import pagination
from api.http.content_negotiation import preferred
from api.http.pagination import JSON, next_link
from api.http.problem_schemas import PROBLEMS
from api.http.problems import validation_error
from api.http.row_formats import CLOUD_EVENTS, CSV, LINES, as_cloud_events, as_csv, as_lines
from api.server.retry_route import RetryingRoute
from api.server.streaming import StreamResponses
from api.service import Service
from api.validation.field_errors import InvalidField
from api.validation.times import read_time
from domain.ledgers.ledger import LedgerReader
from domain.store.commit import current_head, ledger_name
from projections.access.tokens import Caller
from projections.audit import event_list
from projections.audit.event_item import EventView
from projections.audit.event_list import EventFilter

DEFAULT_LIMIT = 100
VARY = {"Vary": "Accept"}
CUSTOMER = "/customerId"
"""The field in which events tell of a customer; none has it in another sense."""

EventFilterFunction = Callable[[EventView], EventView]
RowWriter = Callable[[Iterable[Sequence[EventView]]], Iterator[bytes]]
ROW_FORMATS = (LINES, CSV, CLOUD_EVENTS)
"""The media types of streams."""

router = APIRouter(prefix="/api/v1/audit", tags=["audit"], responses=PROBLEMS, route_class=RetryingRoute)
_BODIES: dict[str, Any] = {form: {"schema": {"type": "string"}} for form in ROW_FORMATS}


@router.get("/events", responses={200: {"model": EventList, "content": _BODIES}})
@fall_back_to_primary
def list_events(
    request: Request,
    service: ServiceDep,
    reads: ReplicaReads,
    caller: MayAudit,
    query: Annotated[EventListQuery, Query()],
) -> Response:
    """The events that match all filters, in the order of the ledger. `Accept` application/x-ndjson, text/csv or
    application/cloudevents+json: all of them until now, as one stream; `afterPosition` resumes it."""
    since, before = (read_time(text) if text else None for text in (query.from_, query.to))
    if since and before and before < since:
        raise validation_error([InvalidField(("query", "to"), "must not be before from")])
    wanted = replace(filter_of(query, caller), since=since, before=before)
    question = (wanted, query.afterPosition)
    after = max(_place(reads, question, query.cursor), query.afterPosition or 0)
    form = preferred(request.headers.getlist("Accept"), (JSON, *ROW_FORMATS))
    show, visible = shown_to(service, caller), is_visible(caller, wanted)
    if form != JSON:
        some = read_events(reads, wanted, after, query.limit) if visible else iter(())
        streams: StreamResponses = request.app.state.streams
        return streams.answer(writer(reads, form)([show(item) for item in items] for items in some), form, VARY)
    items, next_after = list[EventView](), None
    if visible:
        with reads.read() as tx:
            page = event_list.page(tx, wanted, after, query.limit or DEFAULT_LIMIT)
        items, next_after = list(map(show, page.items)), page.next_after
    next_cursor = pagination.encode_cursor(question, next_after)
    body = msgspec.json.encode({"items": items, "nextCursor": next_cursor})
    return Response(body, headers=next_link(request.url, next_cursor) | VARY, media_type=JSON)


def _place(ledger: LedgerReader, question: Any, cursor: str | None) -> int:
    """The position after which to go on. Raises InvalidCursor."""
    place = pagination.decode_cursor(question, cursor)
    if place:
        with ledger.read() as tx:
            if current_head(tx).position < place:
                raise pagination.InvalidCursor
    return place


def writer(ledger: LedgerReader, form: str) -> RowWriter:
    """What writes events in the form of a stream."""
    if form == LINES:
        return as_lines
    if form == CSV:
        return partial(as_csv, EventView)
    with ledger.read() as tx:
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


def shown_to(service: Service, caller: Caller) -> EventFilterFunction:
    """A partner knows its customers by their pseudonyms."""
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
