"""The live stream of events, as Server-Sent Events."""

import logging
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import ExitStack
from functools import partial
from typing import Annotated

import msgspec
from fastapi import APIRouter, Header, Query, Request, Response
from pydantic import BeforeValidator

from api.audit.event_routes import filter_of, is_visible, pseudonymiser_for
from api.audit.event_schemas import EventQuery
from api.audit.event_streams import key_of, stream_page
from api.dependencies.authentication import ServiceDep, is_still_authorised
from api.dependencies.roles import AuditReader
from api.dependencies.runtime import runtime_of
from api.http.problems import validation_error
from api.http.query_params import Position
from api.server.ledger_watcher import LedgerWatcher
from api.server.retry_route import RetryingRoute
from api.server.sending.row_memory import StreamBatch
from api.server.streaming import StreamingAnswer
from api.service import Service
from api.validation.field_errors import InvalidField, Place
from domain.ledgers.ledger import StorageError
from domain.store.commit import current_head
from projections.access.tokens import Caller
from projections.audit.event_item import EventView
from projections.audit.event_list import EventFilter, EventPage, Span

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
        pieces = _follow(watcher, caller.name, _reader(request, service, caller, event_filter), after)
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


class _Revoked(Exception):
    """The caller is no longer authorised."""


def _reader(
    request: Request, service: Service, caller: Caller, event_filter: EventFilter
) -> Callable[[int], StreamBatch[int]]:
    visible, show = is_visible(caller, event_filter), pseudonymiser_for(service, caller)

    def read(after: int) -> StreamBatch[int]:
        with service.ledger.recorder.read() as tx:
            if visible:
                page = stream_page(tx, event_filter, Span(after, None))
            else:
                page = EventPage([], None, current_head(tx).position)
        # Checked after the read, so that no event recorded after the revocation is sent.
        if not is_still_authorised(request, service, caller):
            raise _Revoked
        data = b"".join(_event(show(item)) for item in page.items)
        place = page.next_after or page.until
        return StreamBatch(
            data, place, key_of(page, (SERVER_SENT_EVENTS, caller.partner)), is_last=page.next_after is None
        )

    return read


async def _follow(
    watcher: LedgerWatcher, token_name: str, read: Callable[[int], StreamBatch[int]], after: int
) -> AsyncGenerator[bytes]:
    with watcher.following():
        yield b": the ledger from here on\n\n"
        while not watcher.shutdown.is_set:
            try:
                async with watcher.memory.hold(
                    token_name, partial(watcher.threads.read_blocking, read, after)
                ) as batch:
                    yield batch.data
                after, is_last = batch.place, batch.is_last
                del batch
            except StorageError as error:
                # The client reconnects and continues after the last event.
                logger.warning("closed an event stream because the ledger can't be read: %s", error)
                return
            except _Revoked:
                return
            if is_last:
                # After a reconnect, the client continues here. Also sent without new events, as a keep-alive.
                yield b": read so far\nid: %d\n\n" % after
                await watcher.wait_for_growth(after, SILENT_SECONDS)


def _event(item: EventView) -> bytes:
    """Encodes one message (WHATWG HTML, 9.2). The JSON has no line breaks, so one data line is enough."""
    return b"id: %d\nevent: %b\ndata: %b\n\n" % (item.position, item.type.encode(), msgspec.json.encode(item))
