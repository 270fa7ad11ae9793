"""Bounds the time that the bodies of requests take to arrive."""

import asyncio
from collections.abc import Callable

from starlette.types import Message, Receive

from api.bounds.settings import BoundSettings
from api.http.problems import Problem
from api.server.bodies.body_problems import body_pauses, body_takes_long, server_stops
from api.server.shutdown import SHUTDOWN_GRACE_SECONDS, ShutdownSignal

BYTES_PER_SECOND = 64 * 1024
LONGEST_TICK_SECONDS = 1.0
TICKS_PER_BOUND = 10


class BodyTime:
    """The time that the server has waited for one body. `is_bounded`: the body can still be refused."""

    def __init__(self, is_bounded: Callable[[], bool]) -> None:
        self.is_bounded = is_bounded
        self.is_in_memory = True
        self.received_bytes = 0
        self.seconds = self.pause = 0.0
        self.counted_until = 0.0
        self.timeout: asyncio.Timeout | None = None
        self.problem: Problem | None = None

    def count(self, now: float, most: float) -> None:
        """Counts the time since the last call as waiting, at most `most` seconds of it."""
        seconds = min(now - self.counted_until, most)
        self.seconds += seconds
        self.pause += seconds
        self.counted_until = now


class BodyClock:
    """Counts the time in which the server waits for bodies, and ends the waits that are too long.

    It counts in ticks. A tick of a server that stalls counts as one that is on time, because the server does not read
    meanwhile. Belongs to the event loop of a server."""

    def __init__(self, bounds: BoundSettings, shutdown: ShutdownSignal) -> None:
        self._most_pause, self._most_seconds = bounds.max_body_pause_seconds, bounds.max_body_seconds
        self._tick = min(LONGEST_TICK_SECONDS, min(self._most_pause, self._most_seconds) / TICKS_PER_BOUND)
        self._shutdown = shutdown
        self._stopped_for = 0.0
        self._waiting: set[BodyTime] = set()
        self._ticking: asyncio.AbstractEventLoop | None = None

    async def wait(self, receive: Receive, body: BodyTime) -> Message:
        """Returns the next piece of a body. Raises Problem 408 if it takes too long, 503 if the server shuts down."""
        loop = asyncio.get_running_loop()
        body.pause, body.problem, body.counted_until = 0.0, None, loop.time()
        self._waiting.add(body)
        if self._ticking is not loop:
            self._ticking = loop
            loop.call_later(self._tick, self._count_tick, loop)
        try:
            async with asyncio.timeout(None) as body.timeout:
                return await receive()
        except TimeoutError:
            if body.problem is None:
                raise
            raise body.problem from None
        finally:
            self._waiting.discard(body)
            body.count(loop.time(), self._tick)

    def _count_tick(self, loop: asyncio.AbstractEventLoop) -> None:
        """Counts one tick, and ends the waits that have become too long. Ends the ticks when no body is waited for."""
        if self._shutdown.is_set:
            self._stopped_for += self._tick
        now = loop.time()
        for body in self._waiting:
            body.count(now, self._tick)
            if body.problem is None and body.timeout and body.is_bounded() and (problem := self._problem(body)):
                body.problem = problem
                body.timeout.reschedule(now)
        if self._waiting:
            loop.call_later(self._tick, self._count_tick, loop)
        else:
            self._ticking = None

    def _problem(self, body: BodyTime) -> Problem | None:
        if self._stopped_for > SHUTDOWN_GRACE_SECONDS:
            return server_stops()
        if body.pause >= self._most_pause:
            return body_pauses(self._most_pause)
        if body.is_in_memory and body.seconds >= self._most_seconds + body.received_bytes / BYTES_PER_SECOND:
            return body_takes_long(self._most_seconds)
        return None
