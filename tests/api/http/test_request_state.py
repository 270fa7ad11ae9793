"""The state of one request: created by the entrance, read through the accessor."""

import asyncio
from typing import Any

from fastapi import Request

from api.http.ledger_position import LedgerPositionMiddleware, set_position
from api.http.request_state import RequestState, request_state
from api.server.entrance import Entrance

TRACE_ID = "0af7651916cd43dd8448eb211c80319c"
TRACEPARENT = f"00-{TRACE_ID}-b7ad6b7169203331-01"


async def receive() -> Any:
    raise AssertionError("nothing is read")


def states_of(*headers: tuple[bytes, bytes]) -> tuple[RequestState, list[Any]]:
    """Sends a request through both middlewares. Returns its state, and the messages of the reply."""
    found, messages = list[RequestState](), list[Any]()

    async def app(scope: Any, _receive: Any, send: Any) -> None:
        request = Request(scope)
        found.append(request_state(request))
        for position in (7, 3, None):
            set_position(request, position)
        await send({"type": "http.response.start", "status": 200})

    async def send(message: Any) -> None:
        messages.append(message)

    scope = {"type": "http", "method": "GET", "raw_path": b"/", "headers": [*headers]}
    asyncio.run(Entrance(LedgerPositionMiddleware(app))(scope, receive, send))
    return found[0], messages


def test_each_request_has_a_state_of_its_own() -> None:
    first, second = states_of()[0], states_of()[0]
    assert first.trace_id != second.trace_id
    assert first.traceparent == f"00-{first.trace_id}-{first.trace_id[:16]}-00"
    assert not first.is_counted
    assert first.limits is first.page is None


def test_trace_context_is_taken_from_the_header() -> None:
    state, _ = states_of((b"traceparent", TRACEPARENT.encode()))
    assert (state.trace_id, state.traceparent) == (TRACE_ID, TRACEPARENT)
    newer, _ = states_of((b"traceparent", f"cc{TRACEPARENT[2:]}".encode()))
    assert newer.traceparent == TRACEPARENT


def test_reply_has_the_highest_position() -> None:
    _, (start,) = states_of()
    assert (b"ledger-position", b"7") in start["headers"]
