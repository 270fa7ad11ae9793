"""How do many small requests share one commit, or one look at the ledger?

Whoever comes while a commit is being written goes into the next one; nobody waits for company.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from anyio import CapacityLimiter, to_thread

MOST_AT_ONCE = 256

_Request = TypeVar("_Request")
_Result = TypeVar("_Result")


class GroupCommit(Generic[_Request, _Result]):
    """Lives in the event loop of a server. `work` carries requests out in one transaction, in a thread, and answers their
    results in their order; what it raises, each of them is told."""

    def __init__(
        self,
        work: Callable[[Sequence[_Request]], Sequence[_Result]],
        threads: CapacityLimiter | None = None,
        *,
        fails_for_all: bool = False,
    ) -> None:
        """`threads`: those that others use too; one of its own without. `fails_for_all`: what is raised, those are told too who
        have come meanwhile, as it would happen to them again."""
        self._work = work
        self._fails_for_all = fails_for_all
        self._waiting: list[tuple[_Request, asyncio.Future[_Result]]] = []
        self._writing: asyncio.Task[None] | None = None
        self._threads = threads or CapacityLimiter(1)

    @property
    def is_idle(self) -> bool:
        """Whether nobody waits."""
        return self._writing is None

    async def submit(self, request: _Request) -> _Result:
        """The request's result, when it is durable."""
        told: asyncio.Future[_Result] = asyncio.get_running_loop().create_future()
        self._waiting.append((request, told))
        if self._writing is None:
            self._writing = asyncio.create_task(self._write())
        # Whoever goes away, the others' commit goes on.
        return await asyncio.shield(told)

    async def _write(self) -> None:
        try:
            while self._waiting:
                group, self._waiting = self._waiting[:MOST_AT_ONCE], self._waiting[MOST_AT_ONCE:]
                await self._write_group(group)
        finally:
            self._writing = None

    async def _write_group(self, group: Sequence[tuple[_Request, asyncio.Future[_Result]]]) -> None:
        try:
            results = await self._execute([request for request, _ in group])
        except Exception as error:  # noqa: BLE001 - every request of the group fails with it
            if self._fails_for_all:
                group, self._waiting = [*group, *self._waiting], []
            for _, told in group:
                told.set_exception(error)
            return
        for (_, told), result in zip(group, results, strict=True):
            told.set_result(result)

    async def _execute(self, requests: Sequence[_Request]) -> Sequence[_Result]:
        results = await to_thread.run_sync(self._work, requests, limiter=self._threads)
        if len(results) != len(requests):
            raise RuntimeError(f"{len(results)} results for {len(requests)} requests")
        return results
