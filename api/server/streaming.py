"""Sends long replies in pieces, with few threads, and ends them when the server shuts down."""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from functools import partial
from http import HTTPStatus
from itertools import chain
from typing import TypeVar

from anyio import CapacityLimiter, to_thread
from fastapi import Response
from fastapi.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from api.http.problems import Problem
from api.http.request_state import SCOPE_KEY, RequestState
from api.server.shutdown import ShutdownSignal

MAX_STREAMS = 100
STREAM_READING_THREADS = 2
STREAM_RETRY_SECONDS = 30

_T = TypeVar("_T")
Headers = dict[str, str] | None


class StreamSlots:
    """A limit on the long replies that a server sends at the same time. All of them share STREAM_READING_THREADS
    threads. Belongs to the event loop of a server."""

    def __init__(self, limit: int, activity: str) -> None:
        """`activity` is the verb phrase for the problem's detail, such as "follow the ledger"."""
        self.limit, self.in_use = limit, 0
        self._activity = activity
        self._threads = CapacityLimiter(STREAM_READING_THREADS)

    def require(self) -> None:
        """Raises Problem 503 if no slot is free."""
        if self.in_use >= self.limit:
            detail = f"At most {self.limit} callers may {self._activity} at the same time; retry later."
            headers = {"Retry-After": str(STREAM_RETRY_SECONDS)}
            raise Problem(HTTPStatus.SERVICE_UNAVAILABLE, "too-many-streams", detail, headers=headers)

    @contextmanager
    def occupy(self) -> Iterator[None]:
        self.in_use += 1
        try:
            yield
        finally:
            self.in_use -= 1

    async def read_blocking(self, function: Callable[..., _T], *args: object) -> _T:
        return await to_thread.run_sync(function, *args, limiter=self._threads)


class StreamingAnswer(StreamingResponse):
    """A streaming reply that does not delay the shutdown of the server."""

    def __init__(
        self, pieces: AsyncIterator[bytes], shutdown: ShutdownSignal, media_type: str, headers: Headers = None
    ) -> None:
        super().__init__(pieces, media_type=media_type, headers=headers)
        self._shutdown = shutdown

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        state: RequestState = scope[SCOPE_KEY]
        if state.is_head:  # the reply to HEAD has the headers only, so the pieces are not read
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            await send({"type": "http.response.body", "body": b""})
            return
        await self._shutdown.run_until_shutdown(partial(super().__call__, scope, receive, send))


class StreamResponses:
    """The long replies of a server: lists of events in a file format, and feeds."""

    def __init__(self, shutdown: ShutdownSignal) -> None:
        self._slots = StreamSlots(MAX_STREAMS, "read long replies")
        self._shutdown = shutdown

    def answer(self, pieces: Iterator[bytes], media_type: str, headers: Headers = None) -> Response:
        """Reads the first piece before the status is sent, so that a failing query still becomes a problem. Raises
        Problem 503 if no slot is free."""
        self._slots.require()
        all_pieces = chain([next(pieces, b"")], pieces)
        return StreamingAnswer(self._read_pieces(all_pieces), self._shutdown, media_type, headers)

    async def _read_pieces(self, pieces: Iterator[bytes]) -> AsyncIterator[bytes]:
        with self._slots.occupy():
            while (piece := await self._slots.read_blocking(next, pieces, None)) is not None:
                yield piece
