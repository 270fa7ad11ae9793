"""Combines requests that arrive at the same time, so that they share one transaction or one query.

Requests that arrive during a transaction form the next group. A request never waits for a group to fill up.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from anyio import CapacityLimiter, to_thread

MAX_GROUP_SIZE = 256

_Request = TypeVar("_Request")
_Result = TypeVar("_Result")


class GroupCommit(Generic[_Request, _Result]):
    """Belongs to the event loop of a server. `work` executes a group of requests in a thread, in one transaction, and
    returns their results in the same order. An exception from `work` is raised for every request of the group."""

    def __init__(
        self,
        work: Callable[[Sequence[_Request]], Sequence[_Result]],
        threads: CapacityLimiter | None = None,
        *,
        fails_for_all: bool = False,
    ) -> None:
        """`threads`: a limiter shared with others; by default, the queue has one thread of its own.

        `fails_for_all`: an exception also fails the requests that arrived meanwhile: they would also fail."""
        self._work = work
        self._fails_for_all = fails_for_all
        self._waiting: list[tuple[_Request, asyncio.Future[_Result]]] = []
        self._writer: asyncio.Task[None] | None = None
        self._threads = threads or CapacityLimiter(1)

    @property
    def is_idle(self) -> bool:
        """No request is waiting or being executed."""
        return self._writer is None

    async def submit(self, request: _Request) -> _Result:
        """Returns the request's result after the commit."""
        future: asyncio.Future[_Result] = asyncio.get_running_loop().create_future()
        self._waiting.append((request, future))
        if self._writer is None:
            self._writer = asyncio.create_task(self._write())
        # A cancelled request must not cancel the commit of the others.
        return await asyncio.shield(future)

    async def _write(self) -> None:
        try:
            while self._waiting:
                group, self._waiting = self._waiting[:MAX_GROUP_SIZE], self._waiting[MAX_GROUP_SIZE:]
                await self._write_group(group)
        finally:
            self._writer = None

    async def _write_group(self, group: Sequence[tuple[_Request, asyncio.Future[_Result]]]) -> None:
        try:
            results = await self._execute([request for request, _ in group])
        except Exception as error:  # noqa: BLE001 - passed on to every request of the group
            if self._fails_for_all:
                group, self._waiting = [*group, *self._waiting], []
            for _, future in group:
                future.set_exception(error)
            return
        for (_, future), result in zip(group, results, strict=True):
            future.set_result(result)

    async def _execute(self, requests: Sequence[_Request]) -> Sequence[_Result]:
        results = await to_thread.run_sync(self._work, requests, limiter=self._threads)
        if len(results) != len(requests):
            raise RuntimeError(f"{len(results)} results for {len(requests)} requests")
        return results
