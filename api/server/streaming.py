"""How is a very long answer sent, and nobody else waits for it?"""

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
from api.server.shutdown import ShutdownSignal

MAX_STREAMS = 100
STREAM_READING_THREADS = 2
STREAM_RETRY_SECONDS = 30

_T = TypeVar("_T")
Headers = dict[str, str] | None


class StreamSlots:
    """For so many callers at a time, who all together make no more use of the interpreter than a few threads. Lives in the
    event loop of a server."""

    def __init__(self, places: int, what: str) -> None:
        self.places, self.taken = places, 0
        self._what = what
        self._threads = CapacityLimiter(STREAM_READING_THREADS)

    def require(self) -> None:
        """Raises Problem 503 if no place is left."""
        if self.taken >= self.places:
            detail = f"{self.places} callers {self._what} already."
            headers = {"Retry-After": str(STREAM_RETRY_SECONDS)}
            raise Problem(HTTPStatus.SERVICE_UNAVAILABLE, "too-many-streams", detail, headers=headers)

    @contextmanager
    def place(self) -> Iterator[None]:
        self.taken += 1
        try:
            yield
        finally:
            self.taken -= 1

    async def read_blocking(self, function: Callable[..., _T], *args: object) -> _T:
        return await to_thread.run_sync(function, *args, limiter=self._threads)


class StreamingAnswer(StreamingResponse):
    """One that keeps no server from its end."""

    def __init__(
        self, pieces: AsyncIterator[bytes], leaving: ShutdownSignal, media_type: str, headers: Headers = None
    ) -> None:
        super().__init__(pieces, media_type=media_type, headers=headers)
        self._leaving = leaving

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._leaving.run_until_shutdown(partial(super().__call__, scope, receive, send))


class StreamResponses:
    """The long answers of a server."""

    def __init__(self, leaving: ShutdownSignal) -> None:
        self._room = StreamSlots(MAX_STREAMS, "read long answers")
        self._leaving = leaving

    def answer(self, pieces: Iterator[bytes], media_type: str, headers: Headers = None) -> Response:
        """What can't be read at all is told by a status, which nobody can take back later. Raises Problem 503."""
        self._room.require()
        begun = chain([next(pieces, b"")], pieces)
        return StreamingAnswer(self._in_turn(begun), self._leaving, media_type, headers)

    async def _in_turn(self, pieces: Iterator[bytes]) -> AsyncIterator[bytes]:
        with self._room.place():
            while (piece := await self._room.read_blocking(next, pieces, None)) is not None:
                yield piece
