"""Headers of replies: `Ledger-Position`, at which the reply's data was visible, and `Ledger-Inside-Commit`."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Generic, TypeVar

from fastapi import Request
from msgspec import Struct
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.http.request_state import SCOPE_KEY, RequestState, request_state
from domain.ledgers.ledger import OfferLedger, StorageError

LEDGER_POSITION = "Ledger-Position"
INSIDE_COMMIT = "Ledger-Inside-Commit"
_POSITION_NAME, _INSIDE_NAME = (name.lower().encode() for name in (LEDGER_POSITION, INSIDE_COMMIT))

_Request = TypeVar("_Request")
_Result = TypeVar("_Result")


class Committed(Struct, Generic[_Result], frozen=True):
    """The result of a request, and a position at which it is visible; None if the position could not be read."""

    result: _Result
    position: int | None


def set_position(request: Request, position: int | None) -> None:
    """Sets the header of the reply, if the reply has not started. A lower position than before changes nothing."""
    if position is not None:
        state = request_state(request)
        state.position = max(position, state.position or 0)


def set_newest_position(request: Request, ledger: OfferLedger) -> None:
    """Sets the header after a write."""
    set_position(request, _newest(ledger))


def unwrap(request: Request, committed: Committed[_Result]) -> _Result:
    """Sets the header, and returns the result alone."""
    set_position(request, committed.position)
    return committed.result


def with_position(
    ledger: OfferLedger, execute: Callable[[Sequence[_Request]], Sequence[_Result]]
) -> Callable[[Sequence[_Request]], Sequence[Committed[_Result]]]:
    """Wraps a function that executes requests, so that it also reads the newest position, once for all of them."""

    def execute_and_read_position(requests: Sequence[_Request]) -> Sequence[Committed[_Result]]:
        results = execute(requests)
        position = _newest(ledger)
        return [Committed(result, position) for result in results]

    return execute_and_read_position


def _newest(ledger: OfferLedger) -> int | None:
    # The write is committed even if the position can't be read.
    with suppress(StorageError):
        return ledger.recorder.newest_position()
    return None


class LedgerPositionMiddleware:
    """Adds the headers to replies."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_position(message: Message) -> None:
            if message["type"] == "http.response.start" and state.position is not None:
                headers = [(_POSITION_NAME, b"%d" % state.position)]
                if state.inside_commits:
                    spans = [b"%d-%d" % (span.first, span.last) for span in state.inside_commits]
                    headers.append((_INSIDE_NAME, b", ".join(spans)))
                message["headers"] = [*message.get("headers", ()), *headers]
            await send(message)

        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        state: RequestState = scope[SCOPE_KEY]
        await self.app(scope, receive, send_with_position)
