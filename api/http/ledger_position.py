"""Which position of the ledger has an answer's reader seen? Told in a header, with every answer that knows it."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, Generic, TypeVar

from fastapi import Request
from msgspec import Struct
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.http.request_state import SCOPE_KEY, RequestState, request_state
from domain.ledgers.ledger import OfferLedger, StorageError

LEDGER_POSITION = "Ledger-Position"
_HEADER_NAME = LEDGER_POSITION.lower().encode()
PATHS_WITHOUT_HEADER = ("/api/v1/audit/stream", "/api/v1/partner/quota")
"""What is told there has its position in its messages, or is not of the ledger."""

_Request = TypeVar("_Request")
_Result = TypeVar("_Result")


class Committed(Struct, Generic[_Result], frozen=True):
    """What has become of a request, and a position at which it can be seen; None if that could not be looked up."""

    result: _Result
    position: int | None


def set_position(request: Request, position: int | None) -> None:
    """With the answer, as far as it has not begun."""
    if position is not None:
        state = request_state(request)
        state.position = max(position, state.position or 0)


def set_newest_position(request: Request, ledger: OfferLedger) -> None:
    """For who has written just now."""
    set_position(request, _newest(ledger))


def unwrap(request: Request, written: Committed[_Result]) -> _Result:
    set_position(request, written.position)
    return written.result


def with_position(
    ledger: OfferLedger, carry_out: Callable[[Sequence[_Request]], Sequence[_Result]]
) -> Callable[[Sequence[_Request]], Sequence[Committed[_Result]]]:
    """Carries requests out, and looks once for all of them where they can be seen."""

    def carry_out_and_look(requests: Sequence[_Request]) -> Sequence[Committed[_Result]]:
        results = carry_out(requests)
        position = _newest(ledger)
        return [Committed(result, position) for result in results]

    return carry_out_and_look


def _newest(ledger: OfferLedger) -> int | None:
    # What has been written is there, whether or not this can be looked up.
    with suppress(StorageError):
        return ledger.recorder.newest_position()
    return None


def describe(document: dict[str, Any]) -> None:
    """Adds the header to the answers of an OpenAPI document that have it."""
    for path, operations in document["paths"].items():
        for operation in operations.values() if path not in PATHS_WITHOUT_HEADER else ():
            for status, answer in operation["responses"].items():
                if status.startswith("2"):
                    answer.setdefault("headers", {})[LEDGER_POSITION] = _DESCRIBED


_DESCRIBED = {
    "description": "A position at which the ledger has what was written, or that was read from. Requests that read may have it"
    " as a header.",
    "schema": {"type": "integer", "minimum": 0},
}


class LedgerPositionMiddleware:
    """Puts the header on answers."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_position(message: Message) -> None:
            if message["type"] == "http.response.start" and state.position is not None:
                header = (_HEADER_NAME, b"%d" % state.position)
                message["headers"] = [*message.get("headers", ()), header]
            await send(message)

        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        state: RequestState = scope[SCOPE_KEY]
        await self.app(scope, receive, send_with_position)
