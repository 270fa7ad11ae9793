"""Who carries out the server's runs? Small ones its threads, large ones its helper processes; and whatever nobody holds
any more is taken over."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from http import HTTPStatus
from typing import TypeVar
from uuid import UUID

from anyio import BrokenWorkerProcess, CapacityLimiter, to_process, to_thread

from api.http.problems import Problem
from api.runs import acceptance, batch_process, execution
from api.runs.acceptance import RunSender
from api.runs.batch_process import WorkerContext
from api.runs.execution import RunFailed
from api.runs.upload import SMALL_UPLOAD_BYTES, Upload
from api.server.worker_threads import WorkerThreads
from api.service import Service
from domain.ledgers.ledger import StorageError
from domain.ledgers.run_ledger import AcceptedRun
from domain.refusals import LeaseLost
from domain.runs.run import Run, RunState

CARRYING_THREADS = 2
ACCEPTING_PROCESSES = 2
CARRYING_PROCESSES = 2
LOOKS_PER_LEASE = 10
TIDIES_EVERY = timedelta(hours=1)
RUN_GRACE_SECONDS = 5.0
RUN_POLL_SECONDS = 0.2
WORKER_START_SECONDS = 20.0
"""So long may a helper take to begin, on a busy machine, before it is replaced: the next one would take as long."""

logger = logging.getLogger("offer_ledger")

_T = TypeVar("_T")


async def in_worker_process(
    function: Callable[..., _T], *args: object, limiter: CapacityLimiter | None = None, cancellable: bool = False
) -> _T:
    """Raises BrokenWorkerProcess if the helper dies, and what the function raises."""
    try:
        return await to_process.run_sync(function, *args, limiter=limiter, cancellable=cancellable)
    except ProcessLookupError as error:
        # One that has died while it began: there was nobody left to be ended.
        raise BrokenWorkerProcess(str(error)) from error


class RunSupervisor:
    """Lives in the event loop of a server."""

    def __init__(self, service: Service, threads: WorkerThreads) -> None:
        self._threads = threads
        self._runs = service.runs
        self._max_items = service.settings.max_items
        self._max_image_bytes = service.settings.max_image_bytes
        self._look_seconds = service.settings.lease_seconds / LOOKS_PER_LEASE
        self._principal = WorkerContext(service.settings, service.clock, service.runs.owner)
        self._carrying_threads = CapacityLimiter(CARRYING_THREADS)
        self._accepting_processes = CapacityLimiter(ACCEPTING_PROCESSES)
        self._carrying_processes = CapacityLimiter(CARRYING_PROCESSES)
        self._tasks: dict[UUID, asyncio.Task[Run]] = {}
        self._begun: dict[UUID, tuple[int, float]] = {}
        """For each task, the fence that its run had then, and when that was."""
        self._looking: list[asyncio.Task[None]] = []
        self._tidied: float | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._leaving = asyncio.Event()

    # Requests

    @asynccontextmanager
    async def discard_unless_accepted(self, upload: Upload) -> AsyncIterator[None]:
        """Whatever happens to an upload, it leaves nothing behind unless it becomes a run."""
        try:
            yield
        finally:
            if upload.is_stored and upload.run_id not in self._tasks:
                await self._threads.run_write(upload.discard)

    async def accept(self, upload: Upload, sender: RunSender) -> AcceptedRun:
        """Makes an uploaded body a run and begins to carry it out; or finds the run that it is already.

        Raises what run_intake.accept raises."""
        if upload.is_small:
            accepted = await self._threads.run_write(
                acceptance.accept_run, self._runs, upload.arrival, sender, self._max_items
            )
        else:
            accepted = await self._accept_by_helper(upload, sender)
        if not accepted.replayed:
            self._begin(accepted.run)
        return accepted

    async def wait(self, run: Run, seconds: float) -> Run:
        """The run as it is when it has ended, or after that time, or when the server is about to end."""
        if not seconds:
            return run
        deadline = asyncio.get_running_loop().time() + seconds
        leaving = asyncio.ensure_future(self._leaving.wait())
        try:
            if task := self._tasks.get(run.run_id):
                await asyncio.wait({task, leaving}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
                if task.done() and (task.cancelled() or isinstance(task.exception(), StorageError)):
                    return run
            while True:
                run = await self._threads.run_read(self._find, run)
                left = deadline - asyncio.get_running_loop().time()
                if run.is_finished or left <= 0 or leaving.done():
                    return run
                # It is in other hands.
                await asyncio.wait({leaving}, timeout=min(RUN_POLL_SECONDS, left))
        finally:
            leaving.cancel()

    def _find(self, run: Run) -> Run:
        return self._runs.find(run.run_id) or run

    async def _accept_by_helper(self, upload: Upload, sender: RunSender) -> AcceptedRun:
        try:
            return await in_worker_process(
                batch_process.accept_in_worker,
                self._principal,
                upload.arrival,
                sender,
                limiter=self._accepting_processes,
            )
        except BrokenWorkerProcess:
            logger.exception("a helper process has died")
            detail = "A helper of the service has died over the request; look for its run before sending it again."
            headers = {"Retry-After": "5"}
            raise Problem(HTTPStatus.SERVICE_UNAVAILABLE, "helper-lost", detail, headers=headers) from None

    # Carrying out

    def _begin(self, run: Run) -> None:
        if run.run_id not in self._tasks:
            self._begun[run.run_id] = run.lease.fence, asyncio.get_running_loop().time()
            task = asyncio.create_task(self._execute(run))
            self._tasks[run.run_id] = task
            task.add_done_callback(lambda done: self._ended(run, done))

    async def _execute(self, run: Run) -> Run:
        if run.body_bytes > SMALL_UPLOAD_BYTES:
            return await in_worker_process(
                batch_process.execute_in_worker,
                self._principal,
                run.run_id,
                limiter=self._carrying_processes,
                cancellable=True,
            )
        return await to_thread.run_sync(self._carry_out_here, run, limiter=self._carrying_threads)

    def _carry_out_here(self, run: Run) -> Run:
        return execution.execute(self._runs, self._runs.claim(run.run_id), self._max_image_bytes)

    def _ended(self, run: Run, task: asyncio.Task[Run]) -> None:
        del self._tasks[run.run_id], self._begun[run.run_id]
        if task.cancelled():
            return
        match task.exception():
            case None | LeaseLost():
                pass
            case BrokenWorkerProcess() if not self._leaving.is_set():
                logger.warning("run %s: its helper has died and is replaced", run.run_id)
                self._begin(run)
            case RunFailed(report=report):
                logger.error("run %s has failed and was given up: %s", run.run_id, report)
            case error:
                logger.error("run %s was interrupted and will be taken up again", run.run_id, exc_info=error)

    # Looking after them

    async def open(self, *, warm: bool) -> None:
        self._loop = asyncio.get_running_loop()
        self._looking = [asyncio.create_task(self._go_on(one)) for one in (self._look_after, self._end_stalled)]
        if warm:
            await self._warm_up()

    async def _warm_up(self) -> None:
        try:
            await in_worker_process(batch_process.warm_up, self._principal)
        except (BrokenWorkerProcess, StorageError) as error:
            logger.warning("no helper could be begun before anybody needs it: %r", error)

    def begin_shutdown(self) -> None:
        """Nobody is kept waiting any more: the server is about to end. From any thread."""
        if self._loop:
            self._loop.call_soon_threadsafe(self._leaving.set)

    async def close(self) -> None:
        """Gives runs a moment to end; the others are left for whoever comes next."""
        self._leaving.set()
        for looking in self._looking:
            looking.cancel()
        tasks = list(self._tasks.values())
        if tasks:
            _, unfinished = await asyncio.wait(tasks, timeout=RUN_GRACE_SECONDS)
            for task in unfinished:
                task.cancel()
        await self._threads.run_write(self._runs.release)

    async def _go_on(self, looking: Callable[[], Awaitable[None]]) -> None:
        while True:
            try:
                await looking()
            except StorageError as error:
                logger.warning("the runs can't be looked after at the moment: %s", error)
            except Exception:
                logger.exception("the runs could not be looked after; it will be tried again")
            await asyncio.sleep(self._look_seconds)

    async def _look_after(self) -> None:
        now = asyncio.get_running_loop().time()
        if self._tidied is None or now - self._tidied > TIDIES_EVERY.total_seconds():
            await self._threads.run_write(self._runs.delete_abandoned_uploads)
            self._tidied = now
        for run in await self._threads.run_read(self._runs.find_overdue):
            await self._take_up(run)

    async def _end_stalled(self) -> None:
        # By those who never wait for writers: not even the one above may keep it waiting.
        if ended := await self._threads.run_read(self._runs.ledger.recorder.terminate_stalled_writers):
            logger.warning("connections that stood still and kept others from writing were ended: %d", ended)

    async def _take_up(self, run: Run) -> None:
        """A run that nobody holds: another owner's, or one of a helper of ours that is not heard of any more."""
        task = self._tasks.get(run.run_id)
        if task and run.state is RunState.RUNNING and run.body_bytes > SMALL_UPLOAD_BYTES:
            fence, begun = self._begun[run.run_id]
            if run.lease.fence == fence and asyncio.get_running_loop().time() - begun < WORKER_START_SECONDS:
                return  # it has not claimed the run yet
            try:
                run = await self._threads.run_write(self._runs.claim, run.run_id)
            except LeaseLost:
                return
            logger.warning("run %s: its helper is not heard of any more and is replaced", run.run_id)
            task.cancel()
            await asyncio.wait({task})
        self._begin(run)
