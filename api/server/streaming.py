"""Sends long replies in pieces, with few threads, and ends them when the server shuts down."""

from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from http import HTTPStatus
from itertools import chain
from typing import TypeVar

from anyio import CapacityLimiter, to_thread
from fastapi import Response
from fastapi.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from api.bounds.allowances import Allowance, AllowanceExceeded
from api.bounds.exceeded import exceeded_bound, total_field
from api.bounds.settings import BoundSettings
from api.http.problems import Problem
from api.http.request_state import SCOPE_KEY, RequestState
from api.server.sending.row_memory import RowMemory, StreamBatch
from api.server.shutdown import ShutdownSignal

STREAM_READING_THREADS = 2
STREAM_RETRY_SECONDS = 30

_T = TypeVar("_T")
_Place = TypeVar("_Place")
Headers = dict[str, str] | None


class StreamPlaces:
    """The places for one kind of long reply: each token has some, and the server has some. A reply takes its place in
    one step before it is read, and gives it back when it ends."""

    def __init__(self, settings: BoundSettings, noun: str, field: str) -> None:
        """`noun` is what the problem's detail calls the replies. `field` is the setting of one token."""
        self._allowance = Allowance(getattr(settings, field), getattr(settings, total_field(field)))
        self._noun, self._field = noun, field

    @contextmanager
    def hold(self, token_name: str) -> Iterator[None]:
        """Raises Problem 503 if the token or the server has no free place."""
        try:
            self._allowance.take(token_name)
        except AllowanceExceeded as exceeded:
            raise self._problem(exceeded) from None
        try:
            yield
        finally:
            self._allowance.give_back(token_name)

    @property
    def taken(self) -> int:
        """The places that all tokens hold."""
        return self._allowance.held

    def _problem(self, exceeded: AllowanceExceeded) -> Problem:
        detail = exceeded_bound(self._allowance, exceeded, self._field, f"{self._noun} at the same time")
        headers = {"Retry-After": str(STREAM_RETRY_SECONDS)}
        return Problem(HTTPStatus.SERVICE_UNAVAILABLE, "too-many-streams", detail, headers=headers)


class StreamThreads:
    """The threads that read for all long replies of one kind. Belongs to the event loop of a server."""

    def __init__(self) -> None:
        self._threads = CapacityLimiter(STREAM_READING_THREADS)

    async def read_blocking(self, function: Callable[..., _T], *args: object) -> _T:
        return await to_thread.run_sync(function, *args, limiter=self._threads)


class StreamingAnswer(StreamingResponse):
    """A streaming reply that does not delay the shutdown of the server.

    `held` is what the reply holds, above all its place. It is given back when the reply ends."""

    def __init__(
        self,
        pieces: AsyncGenerator[bytes],
        shutdown: ShutdownSignal,
        held: ExitStack,
        media_type: str,
        headers: Headers = None,
        status: int = 200,
    ) -> None:
        super().__init__(pieces, status, headers, media_type)
        self._pieces, self._shutdown, self._held = pieces, shutdown, held

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        state: RequestState = scope[SCOPE_KEY]
        try:
            if state.is_head:  # the reply to HEAD has the headers only, so the pieces are not read
                await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
                await send({"type": "http.response.body", "body": b""})
                return
            await self._shutdown.run_until_shutdown(partial(super().__call__, scope, receive, send))
        finally:
            await self._pieces.aclose()
            self._held.close()


class StreamResponses:
    """The long replies of a server: lists of events in a file format, and feeds."""

    def __init__(self, settings: BoundSettings, shutdown: ShutdownSignal) -> None:
        self.places = StreamPlaces(settings, "long replies", "max_long_replies_per_token")
        self.large_replays = StreamPlaces(settings, "large replays", "max_large_replays_per_token")
        self._threads = StreamThreads()
        self._memory = RowMemory(settings)
        self._shutdown = shutdown

    def answer(self, token_name: str, pieces: Iterator[bytes], media_type: str, headers: Headers = None) -> Response:
        """Reads the first piece before the status is sent, so that a failing query still becomes a problem. Raises
        Problem 503 if the token or the server has no free place."""
        with ExitStack() as held:
            held.enter_context(self.places.hold(token_name))
            return self.send(chain([next(pieces, b"")], pieces), held.pop_all(), media_type, headers)

    def send(
        self, pieces: Iterator[bytes], held: ExitStack, media_type: str, headers: Headers = None, status: int = 200
    ) -> Response:
        """Returns a reply with these pieces. It gives back what it holds when it ends."""
        return StreamingAnswer(self._read_pieces(pieces), self._shutdown, held, media_type, headers, status)

    def answer_batches(
        self,
        token_name: str,
        read: Callable[[_Place], StreamBatch[_Place]],
        start: _Place,
        media_type: str,
        headers: Headers = None,
        *,
        header: bytes = b"",
    ) -> Response:
        """Sends batches of rows, as `answer` sends pieces. `read` reads the batch at a place; it may do so twice."""
        with ExitStack() as held:
            held.enter_context(self.places.hold(token_name))
            pieces = self._read_batches(token_name, read, start, header, [read(start)])
            return StreamingAnswer(pieces, self._shutdown, held.pop_all(), media_type, headers)

    async def _read_batches(
        self,
        token_name: str,
        read: Callable[[_Place], StreamBatch[_Place]],
        place: _Place,
        header: bytes,
        first: list[StreamBatch[_Place]],
    ) -> AsyncGenerator[bytes]:
        yield header
        is_last = False
        while not is_last:
            read_next = partial(self._threads.read_blocking, read, place)
            async with self._memory.hold(token_name, read_next, first.pop() if first else None) as batch:
                yield batch.data
            place, is_last = batch.place, batch.is_last
            del batch

    async def _read_pieces(self, pieces: Iterator[bytes]) -> AsyncGenerator[bytes]:
        while (piece := await self._threads.read_blocking(next, pieces, None)) is not None:
            yield piece
