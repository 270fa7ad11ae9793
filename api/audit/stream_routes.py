"""The live stream of events, as Server-Sent Events."""

import logging
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import ExitStack
from typing import Annotated

import msgspec
from fastapi import APIRouter, Header, Query, Request, Response
from pydantic import BeforeValidator

from api.audit.event_reader import ITEMS_PER_READ
from api.audit.event_routes import EventTransform, filter_of, is_visible, pseudonymiser_for
from api.audit.event_schemas import EventQuery
from api.dependencies.authentication import ServiceDep, is_still_authorised
from api.dependencies.roles import AuditReader
from api.dependencies.runtime import runtime_of
from api.http.problems import validation_error
from api.http.query_params import Position
from api.server.ledger_watcher import LedgerWatcher
from api.server.retry_route import RetryingRoute
from api.server.streaming import StreamingAnswer
from api.service import Service
from api.validation.field_errors import InvalidField, Place
from domain.ledgers.ledger import StorageError
from domain.store.commit import current_head
from projections.access.tokens import Caller
from projections.audit import event_list
from projections.audit.event_item import EventView
from projections.audit.event_list import EventFilter, EventPage

SERVER_SENT_EVENTS = "text/event-stream"
STREAM_HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
LAST_EVENT_ID = "Last-Event-ID"
SILENT_SECONDS = 15.0

logger = logging.getLogger("offer_ledger")
LastEventId = Annotated[
    Position | None,
    BeforeValidator(lambda sent: sent or None),
    Header(alias=LAST_EVENT_ID, description="The position of the last event that the client received"),
]

router = APIRouter(prefix="/api/v1/audit", tags=["audit"], route_class=RetryingRoute)


@router.get(
    "/stream",
    responses={200: {"content": {SERVER_SENT_EVENTS: {"schema": {"type": "string"}}}}},
    response_class=Response,
)
async def follow_events(
    request: Request,
    service: ServiceDep,
    caller: AuditReader,
    query: Annotated[EventQuery, Query()],
    last_event_id: LastEventId = None,
) -> Response:
    """Stream the events that match all filters as they are recorded. The stream starts now, or after `Last-Event-ID`
    or `afterPosition`. Each event comes once, in the order of positions, with its position as `id`. The stream ends
    when the token is revoked."""
    watcher = runtime_of(request).watcher
    with ExitStack() as held:
        held.enter_context(watcher.places.hold(caller.name))
        sent = {("header", LAST_EVENT_ID): last_event_id, ("query", "afterPosition"): query.afterPosition}
        after = await _start(watcher, {place: position for place, position in sent.items() if position is not None})
        event_filter = await watcher.threads.read_blocking(filter_of, service, query, caller)
        read = _reader(request, service, caller, event_filter)
        pieces = _follow(watcher, read, pseudonymiser_for(service, caller), after)
        return StreamingAnswer(pieces, watcher.shutdown, held.pop_all(), SERVER_SENT_EVENTS, STREAM_HEADERS)


async def _start(watcher: LedgerWatcher, sent: Mapping[Place, int]) -> int:
    """Returns the position after which the stream starts. Raises Problem 422 for a position ahead of the ledger."""
    newest = await watcher.threads.read_blocking(watcher.newest_position)
    ahead = [
        InvalidField(place, "must not be after the newest position")
        for place, position in sent.items()
        if position > newest
    ]
    if ahead:
        raise validation_error(ahead)
    # Last-Event-ID comes first: after a reconnect it is newer than afterPosition.
    return next(iter(sent.values()), newest)


def _reader(
    request: Request, service: Service, caller: Caller, event_filter: EventFilter
) -> Callable[[int], EventPage | None]:
    visible = is_visible(caller, event_filter)

    def read(after: int) -> EventPage | None:
        """Returns the next page, or None if the caller is no longer authorised."""
        with service.ledger.recorder.read() as tx:
            if visible:
                page = event_list.page(tx, event_filter, after, ITEMS_PER_READ)
            else:
                page = EventPage([], None, current_head(tx).position)
        # Checked after the read, so that no event recorded after the revocation is sent.
        return page if is_still_authorised(request, service, caller) else None

    return read


async def _follow(
    watcher: LedgerWatcher, read: Callable[[int], EventPage | None], show: EventTransform, after: int
) -> AsyncIterator[bytes]:
    with watcher.following():
        yield b": the ledger from here on\n\n"
        while not watcher.shutdown.is_set:
            try:
                page = await watcher.threads.read_blocking(read, after)
            except StorageError as error:
                # The client reconnects and continues after the last event.
                logger.warning("closed an event stream because the ledger can't be read: %s", error)
                return
            if page is None:
                return
            yield b"".join(_event(show(item)) for item in page.items)
            after = page.next_after or page.until
            if page.next_after is None:
                # After a reconnect, the client continues here. Also sent without new events, as a keep-alive.
                yield b": read so far\nid: %d\n\n" % after
                await watcher.wait_for_growth(after, SILENT_SECONDS)


def _event(item: EventView) -> bytes:
    """Encodes one message (WHATWG HTML, 9.2). The JSON has no line breaks, so one data line is enough."""
    return b"id: %d\nevent: %b\ndata: %b\n\n" % (item.position, item.type.encode(), msgspec.json.encode(item))
