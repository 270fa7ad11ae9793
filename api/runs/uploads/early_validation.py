"""Early validation: a worker process validates a large batch while the batch still arrives.

The server gives the process each chunk of the body that it has written. The process keeps the validated items, and later
accepts and executes the run with them. If anything stops the early validation, the upload goes on without it.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import TypeVar
from uuid import UUID

from anyio import BrokenWorkerProcess, to_thread

from api.bounds.turns import Turns
from api.processes.worker_processes import WorkerProcess, WorkerProcesses
from api.runs import batch_process
from api.runs.batch_process import WorkerContext
from api.runs.upload import Upload
from domain.ledgers.ledger import StorageError

CHUNKS_PER_CALL = 2
"""A process that another partner needs becomes free after one call."""

logger = logging.getLogger("offer_ledger")

_T = TypeVar("_T")


class EarlyValidation:
    """The early validation of one upload. It has a turn and a process until it is released."""

    def __init__(self, upload: Upload, partner: str) -> None:
        self.partner = partner
        self.is_arriving, self.is_released = True, False
        self._upload = upload
        self._changed, self._release = asyncio.Event(), asyncio.Event()
        self._fed: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._process: WorkerProcess | None = None
        self._task: asyncio.Task[None] | None = None

    def start(
        self, turns: Turns, processes: WorkerProcesses, context: WorkerContext, max_pause: float
    ) -> asyncio.Task[None]:
        self._task = asyncio.create_task(self._run(turns, processes, context, max_pause))
        return self._task

    def notify(self) -> None:
        """Says that the file has more of the body."""
        self._changed.set()

    def complete(self) -> None:
        """Says that the file has the whole body. From now on, the process is not taken away."""
        self.is_arriving = False
        self._changed.set()

    async def has_whole_body(self) -> bool:
        """Waits until the process has the whole body. Returns False if it stopped before."""
        return await asyncio.shield(self._fed)

    async def call(self, function: Callable[..., _T], *args: object) -> _T:
        """Calls a function in the process that has the whole body. Raises what `WorkerProcess.call` raises."""
        assert self._process
        return await self._process.call(function, *args)

    def release(self) -> None:
        """Gives the turn and the process back, after a call that is under way. Further calls do nothing."""
        if self.is_released:
            return
        self.is_released = True
        self._release.set()
        self._changed.set()
        if self._task and self._process is None:
            self._task.cancel()

    async def _run(self, turns: Turns, processes: WorkerProcesses, context: WorkerContext, max_pause: float) -> None:
        try:
            if not turns.is_free(self.partner):
                return  # another upload has taken it in the same moment
            async with turns.take(self.partner), processes.reserve() as self._process:
                await self._feed(self._process, context, max_pause)
                if not self.is_released:
                    self._fed.set_result(True)
                    await self._release.wait()
        except Exception as error:  # noqa: BLE001 - whatever stops it, the upload goes on
            if not self.is_released:
                _log(error)
        finally:
            self.is_released = True
            if not self._fed.done():
                self._fed.set_result(False)

    async def _feed(self, process: WorkerProcess, context: WorkerContext, max_pause: float) -> None:
        fed = 0
        while (end := await self._next_end(fed, max_pause)) > fed:
            packed = await to_thread.run_sync(self._upload.waiting, fed, end)
            await process.call(
                batch_process.validate_early_in_worker, context, self._upload.run_id, self.partner, packed
            )
            fed = end

    async def _next_end(self, fed: int, max_pause: float) -> int:
        """Waits for more chunks. Returns `fed` if there are none to come."""
        async with asyncio.timeout(max_pause):
            while self._upload.waiting_chunks == fed and self.is_arriving and not self.is_released:
                self._changed.clear()
                await self._changed.wait()
        return fed if self.is_released else min(self._upload.waiting_chunks, fed + CHUNKS_PER_CALL)


def _log(error: Exception) -> None:
    match error:
        case TimeoutError():
            logger.info("a slow upload continues without early validation")
        case BrokenWorkerProcess():
            logger.warning("a worker process died during early validation; the upload continues without it")
        case StorageError():
            logger.warning("an upload continues without early validation: %s", error)
        case _:
            logger.error("early validation failed; the upload continues without it", exc_info=error)


class EarlyValidations:
    """The early validations of a server. Belongs to its event loop.

    Each has a turn at the execution of large runs. A body that is complete never waits for one that still arrives."""

    def __init__(self, processes: WorkerProcesses, turns: Turns, context: WorkerContext, max_pause: float) -> None:
        """`max_pause`: the most seconds that a process waits for the next chunk."""
        self._processes, self._turns, self._context, self._max_pause = processes, turns, context, max_pause
        self._by_run: dict[UUID, EarlyValidation] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def notify(self, upload: Upload, partner: str) -> None:
        """Starts the early validation of an upload that has become large, if a process is free; else says that there is more."""
        if early := self._by_run.get(upload.run_id):
            early.notify()
        elif upload.waiting_chunks and self._turns.is_free(partner):
            early = self._by_run[upload.run_id] = EarlyValidation(upload, partner)
            task = early.start(self._turns, self._processes, self._context, self._max_pause)
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def complete(self, upload: Upload, partner: str) -> EarlyValidation | None:
        """Says that the upload is complete. Returns its early validation; None if it has none."""
        self.notify(upload, partner)
        early = self._by_run.get(upload.run_id)
        if early:
            early.complete()
        return early

    def make_room(self, partner: str) -> None:
        """Takes a process away from an upload that still arrives, if the partner can't have a turn at once."""
        if self._turns.is_free(partner):
            return
        arriving = [early for early in self._by_run.values() if early.is_arriving and not early.is_released]
        for early in [*(early for early in arriving if early.partner == partner), *arriving][:1]:
            early.release()

    def hand_over(self, upload: Upload) -> EarlyValidation | None:
        """Returns the early validation for the execution of the run. The caller releases it."""
        return self._by_run.pop(upload.run_id, None)

    def leave(self, upload: Upload) -> None:
        if early := self.hand_over(upload):
            early.release()

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
