"""Who carries out the server's runs? Small ones its threads, large ones its helper processes; and whatever nobody holds
any more is taken over."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from http import HTTPStatus
from typing import TypeVar
from uuid import UUID

from anyio import BrokenWorkerProcess, CapacityLimiter, to_process, to_thread
from msgspec.structs import replace

from api import batch_intake, helper_process, run_work
from api.helper_process import Owner
from api.problems import Problem
from api.run_work import RunFailed
from api.upload import SMALL_BYTES, Upload
from api.wiring import Service
from domain.ledger import StorageError
from domain.refusals import RunNotYours
from domain.run import Run, RunRequest
from domain.run_ledger import Accepted
from domain.values import Channel, Origin

READING_THREADS = 8
CARRYING_THREADS = 2
READING_PROCESSES = 2
CARRYING_PROCESSES = 2
LOOKS_PER_LEASE = 10
TIDIES_EVERY = timedelta(hours=1)
GRACE_SECONDS = 5.0
POLL_SECONDS = 0.2

logger = logging.getLogger("offer_ledger")

T = TypeVar("T")


class RunDesk:
    """Lives in the event loop of a server."""

    def __init__(self, service: Service) -> None:
        self._runs = service.runs
        self._max_items = service.settings.max_items
        self._look_seconds = service.settings.lease_seconds / LOOKS_PER_LEASE
        self._owner = Owner(service.settings, service.clock, service.runs.owner)
        self._reading_threads = CapacityLimiter(READING_THREADS)
        self._carrying_threads = CapacityLimiter(CARRYING_THREADS)
        self._reading_processes = CapacityLimiter(READING_PROCESSES)
        self._carrying_processes = CapacityLimiter(CARRYING_PROCESSES)
        self._tasks: dict[UUID, asyncio.Task[Run]] = {}
        self._looking: asyncio.Task[None] | None = None

    # Requests

    async def in_thread(self, function: Callable[..., T], *args: object) -> T:
        """Runs what may have to wait for the ledger; nobody but batches waits for these threads."""
        return await to_thread.run_sync(function, *args, limiter=self._reading_threads)

    @asynccontextmanager
    async def keeping(self, upload: Upload) -> AsyncIterator[None]:
        """Whatever happens to an upload, it leaves nothing behind unless it becomes a run."""
        try:
            yield
        finally:
            if upload.is_stored and upload.run_id not in self._tasks:
                await self.in_thread(upload.discard)

    async def accept(self, upload: Upload, partner: str, channel: Channel, origin: Origin) -> Accepted:
        """Makes an uploaded body a run and begins to carry it out; or finds the run that it is already.

        Raises Problem for a body that is not in order, and what RunLedger.accept raises."""
        asked = await self._read(upload)
        request = RunRequest(
            upload.run_id, partner, asked.operation, asked.concurrency_request_id, upload.digest, upload.size
        )
        earlier = await self.in_thread(self._runs.earlier, request, channel)
        if earlier and earlier.body_digest != request.body_digest and await self._asks_for_the_same(earlier, upload):
            request = replace(request, same_as=earlier.run_id)
        accepted = await self.in_thread(self._accept, request, channel, origin, upload)
        if not accepted.replayed:
            self._begin(accepted.run, held=True)
        return accepted

    async def wait(self, run: Run, seconds: float) -> Run:
        """The run as it is when it has ended, or after that time."""
        if not seconds:
            return run
        deadline = asyncio.get_running_loop().time() + seconds
        if task := self._tasks.get(run.run_id):
            ended, _ = await asyncio.wait({task}, timeout=seconds)
            if any(one.cancelled() or isinstance(one.exception(), StorageError) for one in ended):
                return run
        while True:
            run = await self.in_thread(self._find, run)
            left = deadline - asyncio.get_running_loop().time()
            if run.is_finished or left <= 0:
                return run
            # It is in other hands.
            await asyncio.sleep(min(POLL_SECONDS, left))

    def _find(self, run: Run) -> Run:
        return self._runs.find(run.run_id) or run

    def _accept(self, request: RunRequest, channel: Channel, origin: Origin, upload: Upload) -> Accepted:
        return self._runs.accept(request, channel, origin, upload.packed)

    async def _read(self, upload: Upload) -> batch_intake.BatchRequest:
        if upload.is_small:
            return await self.in_thread(batch_intake.read_request, upload.body, self._max_items)
        return await self._by_helper(helper_process.read_request, upload.run_id)

    async def _asks_for_the_same(self, earlier: Run, upload: Upload) -> bool:
        if upload.is_small and earlier.body_bytes <= SMALL_BYTES:
            return await self.in_thread(run_work.asks_for_the_same, self._runs, earlier, upload.body)
        if upload.is_small:
            await self.in_thread(upload.store)
        return await self._by_helper(helper_process.asks_for_the_same, earlier, upload.run_id)

    async def _by_helper(self, function: Callable[..., T], *args: object) -> T:
        try:
            return await to_process.run_sync(function, self._owner, *args, limiter=self._reading_processes)
        except BrokenWorkerProcess as error:
            logger.error("a helper process has died", exc_info=error)  # noqa: TRY400 - the answer is a 503
            detail = "A helper of the service has died while it read the request; nothing has been changed."
            headers = {"Retry-After": "5"}
            raise Problem(HTTPStatus.SERVICE_UNAVAILABLE, "helper-lost", detail, headers=headers) from None

    # Carrying out

    def _begin(self, run: Run, *, held: bool) -> None:
        if run.run_id not in self._tasks:
            task = asyncio.create_task(self._carry_out(run, held=held))
            self._tasks[run.run_id] = task
            task.add_done_callback(lambda done: self._ended(run, done))

    async def _carry_out(self, run: Run, *, held: bool) -> Run:
        if run.body_bytes > SMALL_BYTES:
            return await to_process.run_sync(
                helper_process.carry_out,
                self._owner,
                run.run_id,
                limiter=self._carrying_processes,
                cancellable=True,
            )
        return await to_thread.run_sync(self._carry_out_here, run, held, limiter=self._carrying_threads)

    def _carry_out_here(self, run: Run, held: bool) -> Run:  # noqa: FBT001
        return run_work.carry_out(self._runs, run if held else self._runs.claim(run.run_id))

    def _ended(self, run: Run, task: asyncio.Task[Run]) -> None:
        del self._tasks[run.run_id]
        if task.cancelled():
            return
        match task.exception():
            case None | RunNotYours():
                pass
            case RunFailed(report=report):
                logger.error("run %s has failed and was given up: %s", run.run_id, report)
            case error:
                logger.error("run %s was interrupted and will be taken up again", run.run_id, exc_info=error)

    # Looking after them

    async def open(self, *, warm: bool) -> None:
        self._looking = asyncio.create_task(self._look_after())
        if warm:
            await to_process.run_sync(helper_process.warm_up, self._owner)

    async def close(self) -> None:
        """Gives runs a moment to end; the others are left for whoever comes next."""
        if self._looking:
            self._looking.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks.values(), timeout=GRACE_SECONDS)
        for task in list(self._tasks.values()):
            task.cancel()
        await self.in_thread(self._runs.release)

    async def _look_after(self) -> None:
        tidied: float | None = None
        while True:
            try:
                now = asyncio.get_running_loop().time()
                if tidied is None or now - tidied > TIDIES_EVERY.total_seconds():
                    await to_thread.run_sync(self._runs.tidy)
                    tidied = now
                for run in await to_thread.run_sync(self._runs.overdue):
                    self._begin(run, held=False)
            except StorageError as error:
                logger.warning("the ledger can't be looked after at the moment: %s", error)
            await asyncio.sleep(self._look_seconds)
