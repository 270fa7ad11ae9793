"""What is happening in the ledger? Told as it happens, as Server-Sent Events."""

import logging
from collections.abc import AsyncIterator, Callable
from typing import Annotated

import msgspec
from fastapi import APIRouter, Header, Query, Request, Response
from pydantic import BeforeValidator

from api.audit.event_reader import ITEMS_PER_READ
from api.audit.event_routes import EventFilterFunction, filter_of, is_visible, shown_to
from api.audit.event_schemas import EventQuery
from api.dependencies.authentication import MayAudit, ServiceDep, is_still_authorised
from api.http.problem_schemas import PROBLEMS
from api.http.problems import validation_error
from api.http.query_params import Position
from api.server.ledger_watcher import LedgerWatcher
from api.server.retry_route import RetryingRoute
from api.server.streaming import StreamingAnswer
from api.validation.field_errors import InvalidField
from domain.ledgers.ledger import StorageError
from domain.store.commit import current_head
from projections.audit import event_list
from projections.audit.event_item import EventView
from projections.audit.event_list import EventPage

SERVER_SENT_EVENTS = "text/event-stream"
STREAM_HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
LAST_EVENT_ID = "Last-Event-ID"
SILENT_SECONDS = 15.0

logger = logging.getLogger("offer_ledger")
router = APIRouter(prefix="/api/v1/audit", tags=["audit"], responses=PROBLEMS, route_class=RetryingRoute)


@router.get("/stream", responses={200: {"content": {SERVER_SENT_EVENTS: {"schema": {"type": "string"}}}}})
async def follow_events(
    request: Request,
    service: ServiceDep,
    caller: MayAudit,
    query: Annotated[EventQuery, Query()],
    last_event_id: Annotated[
        Position | None,
        BeforeValidator(lambda sent: sent or None),
        Header(alias=LAST_EVENT_ID, description="The position of the last event that has come"),
    ] = None,
) -> Response:
    """The events that match all filters, from now on, or after `Last-Event-ID` or `afterPosition`: each once, in the order of
    the ledger, its position as `id`. Ends when the token is revoked."""
    lookout: LedgerWatcher = request.app.state.lookout
    lookout.room.require()
    newest = await lookout.room.read_blocking(lookout.newest)
    given = {("header", LAST_EVENT_ID): last_event_id, ("query", "afterPosition"): query.afterPosition}
    told = {place: position for place, position in given.items() if position is not None}
    ahead = [InvalidField(place, "lies ahead of the ledger") for place, position in told.items() if position > newest]
    if ahead:
        raise validation_error(ahead)
    wanted = filter_of(query, caller)
    visible = is_visible(caller, wanted)

    def read(after: int) -> EventPage | None:
        """None for a caller who may not read any more."""
        with service.ledger.recorder.read() as tx:
            if visible:
                page = event_list.page(tx, wanted, after, ITEMS_PER_READ)
            else:
                page = EventPage([], None, current_head(tx).position)
        # Asked after that: what has come since the token was revoked is not told.
        return page if is_still_authorised(request, service, caller) else None

    # What was heard last says more than where one began.
    after = next(iter(told.values()), newest)
    pieces = _follow(lookout, read, shown_to(service, caller), after)
    return StreamingAnswer(pieces, lookout.leaving, SERVER_SENT_EVENTS, STREAM_HEADERS)


async def _follow(
    lookout: LedgerWatcher, read: Callable[[int], EventPage | None], show: EventFilterFunction, after: int
) -> AsyncIterator[bytes]:
    with lookout.following():
        yield b": the ledger from here on\n\n"
        while not lookout.leaving.is_set:
            try:
                page = await lookout.room.read_blocking(read, after)
            except StorageError as error:
                # Whoever follows comes back, and goes on after the last event.
                logger.warning("The ledger can't be read, and a follower is let go: %s", error)
                return
            if page is None:
                return
            yield b"".join(_event(show(item)) for item in page.items)
            after = page.next_after or page.until
            if page.next_after is None:
                # Who comes back need not look at all this again. Told in silence too, so that nobody takes the line for dead.
                yield b": read so far\nid: %d\n\n" % after
                await lookout.growth(after, SILENT_SECONDS)


def _event(item: EventView) -> bytes:
    """WHATWG HTML, 9.2. JSON has no line breaks outside of strings, and none in them."""
    return b"id: %d\nevent: %b\ndata: %b\n\n" % (item.position, item.type.encode(), msgspec.json.encode(item))
