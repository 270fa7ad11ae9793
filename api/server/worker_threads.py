"""The threads in which a server works on runs and on batches of activations."""

from collections.abc import Callable
from typing import TypeVar

from anyio import CapacityLimiter, to_thread

READING_THREADS = 8
WRITING_THREADS = 8

_T = TypeVar("_T")


class WorkerThreads:
    """Two groups of threads. Other requests do not wait for these threads, and a function that only reads never waits
    for a function that writes. Belongs to the event loop of a server."""

    def __init__(self) -> None:
        self._reading = CapacityLimiter(READING_THREADS)
        self._writing = CapacityLimiter(WRITING_THREADS)

    async def run_read(self, function: Callable[..., _T], *args: object) -> _T:
        """Runs a function that does not wait for writers."""
        return await to_thread.run_sync(function, *args, limiter=self._reading)

    async def run_write(self, function: Callable[..., _T], *args: object) -> _T:
        """Runs a function that may wait for other writers."""
        return await to_thread.run_sync(function, *args, limiter=self._writing)
