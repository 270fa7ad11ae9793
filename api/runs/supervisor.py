"""Executes the runs of a server process: small ones in threads, large ones in worker processes.

It also takes over runs whose owner no longer renews the lease, and terminates stalled database connections.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from datetime import timedelta
from http import HTTPStatus
from typing import Any, TypeVar
from uuid import UUID

from anyio import BrokenWorkerProcess, CapacityLimiter, to_thread
from starlette.requests import ClientDisconnect

from api.bounds.turns import Turns
from api.dependencies.waiting_bodies import SMALL_UPLOAD_BYTES
from api.http.problems import Problem
from api.processes.process_watch import Patience
from api.processes.worker_processes import WorkerProcesses
from api.runs import acceptance, batch_process, execution
from api.runs.acceptance import RunSender
from api.runs.batch_process import WorkerContext
from api.runs.execution import RunFailed
from api.runs.upload import Upload
from api.runs.uploads.abandoned_uploads import AbandonedUploads
from api.runs.uploads.early_validation import EarlyValidation, EarlyValidations
from api.server.worker_threads import WorkerThreads
from api.service import Service
from domain.ledgers.ledger import StorageError
from domain.ledgers.run_ledger import AcceptedRun
from domain.ledgers.undo_ledger import count_undone_events
from domain.refusals import LeaseLost
from domain.runs.run import Run, Undo

SMALL_UNDO_EVENTS = 1_000
"""An undo of a run with more events is executed in a worker process."""
EXECUTION_THREADS = 2
ACCEPTANCE_PROCESSES = 2
EXECUTION_PROCESSES = 2
ABANDONED_ACCEPTANCE_SECONDS = 2.0
"""The time in which a process notices that the body has been removed. Terminating it costs a new process."""
CHECKS_PER_LEASE = 10
CLEANUP_INTERVAL = timedelta(minutes=10)
RUN_GRACE_SECONDS = 5.0
RUN_POLL_SECONDS = 0.2
WORKER_START_SECONDS = 60.0
"""The time to start on a busy machine. A worker process is not replaced earlier: the next one would be as slow."""
MIN_IDLE_SECONDS = 5.0
"""A worker process sends a beat each second. It is not killed before it has missed several, however short a lease is."""
MAX_SILENT_SECONDS = 60.0

logger = logging.getLogger("offer_ledger")

_T = TypeVar("_T")


class RunSupervisor:
    """Belongs to the event loop of a server."""

    def __init__(self, service: Service, threads: WorkerThreads) -> None:
        self._threads = threads
        self._runs = service.runs
        self._abandoned = AbandonedUploads(service.runs)
        self._bounds = service.settings.body_bounds
        self._check_seconds = service.settings.lease_seconds / CHECKS_PER_LEASE
        self._worker_context = WorkerContext(service.settings, service.clock, service.runs.owner)
        self._execution_threads = CapacityLimiter(EXECUTION_THREADS)
        self._acceptance_turns = Turns(ACCEPTANCE_PROCESSES)
        self._execution_turns = Turns(EXECUTION_PROCESSES)
        self._processes = WorkerProcesses(
            Patience(WORKER_START_SECONDS, max(service.settings.lease_seconds, MIN_IDLE_SECONDS), MAX_SILENT_SECONDS),
            service.settings.max_idle_process_bytes,
            (batch_process.warm_up, self._worker_context),
        )
        self.early_validations = EarlyValidations(
            self._processes, self._execution_turns, self._worker_context, service.settings.max_early_pause_seconds
        )
        self._tasks: dict[UUID, asyncio.Task[Run]] = {}
        self._checkers: list[asyncio.Task[None]] = []
        self._cleaned_up_at: float | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._shutting_down = asyncio.Event()

    # Requests

    @asynccontextmanager
    async def discard_unless_accepted(self, upload: Upload) -> AsyncIterator[None]:
        """Removes the chunks of an upload that did not become a run, whatever happens."""
        try:
            yield
        finally:
            self.early_validations.leave(upload)
            if upload.is_kept and upload.run_id not in self._tasks:
                await self._threads.run_write(upload.discard)

    async def accept_unless(
        self, is_over: Callable[[], Coroutine[Any, Any, None]], upload: Upload, sender: RunSender
    ) -> AcceptedRun:
        """Accepts a body like `accept`. Raises ClientDisconnect if `is_over` returns before a large body is accepted.

        The work on it then ends early: its process finds no more chunks, or is terminated."""
        if upload.is_small:
            return await self.accept(upload, sender)
        acceptance, end = asyncio.create_task(self.accept(upload, sender)), asyncio.create_task(is_over())
        try:
            await asyncio.wait({acceptance, end}, return_when=asyncio.FIRST_COMPLETED)
            if not acceptance.done():
                await self._threads.run_write(upload.discard)
                await asyncio.wait({acceptance}, timeout=ABANDONED_ACCEPTANCE_SECONDS)
                if not acceptance.done() or acceptance.exception():
                    raise ClientDisconnect
            return await acceptance
        finally:
            end.cancel()
            if acceptance.cancel():
                await asyncio.wait({acceptance})

    async def accept(self, upload: Upload, sender: RunSender) -> AcceptedRun:
        """Accepts an uploaded body as a run and starts it, or returns the run of the same request.

        Raises what `acceptance.accept_run` raises."""
        if upload.is_small:
            accepted = await self._threads.run_write(
                acceptance.accept_run, self._runs, upload.uploaded_body, sender, self._bounds
            )
        else:
            accepted = await self._accept_in_worker(upload, sender)
        if not accepted.replayed:
            self.start(accepted.run, self.early_validations.hand_over(upload))
        return accepted

    async def wait(self, run: Run, seconds: float) -> Run:
        """Returns the run when it is finished, after `seconds`, or when the server shuts down."""
        if not seconds:
            return run
        deadline = asyncio.get_running_loop().time() + seconds
        shutdown = asyncio.ensure_future(self._shutting_down.wait())
        try:
            if task := self._tasks.get(run.run_id):
                await asyncio.wait({task, shutdown}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
                if task.done() and (task.cancelled() or isinstance(task.exception(), StorageError)):
                    return run
            while True:
                run = await self._threads.run_read(self._find, run)
                seconds_left = deadline - asyncio.get_running_loop().time()
                if run.is_finished or seconds_left <= 0 or shutdown.done():
                    return run
                # Another process owns the run.
                await asyncio.wait({shutdown}, timeout=min(RUN_POLL_SECONDS, seconds_left))
        finally:
            shutdown.cancel()

    def _find(self, run: Run) -> Run:
        return self._runs.find(run.run_id) or run

    async def evaluate(self, function: Callable[..., _T], *args: object) -> _T:
        """Calls a function that reads no ledger in a worker process.

        Raises what the function raises, and Problem 503 if the process dies."""
        try:
            return await self._processes.run(function, *args)
        except BrokenWorkerProcess:
            logger.exception("a worker process died while it evaluated a body")
            detail = "A worker process died while it evaluated the body. Nothing was changed. Repeat the request."
            headers = {"Retry-After": "5"}
            raise Problem(HTTPStatus.SERVICE_UNAVAILABLE, "helper-lost", detail, headers=headers) from None

    async def _accept_in_worker(self, upload: Upload, sender: RunSender) -> AcceptedRun:
        # A file's name comes with its sender. Only batches are validated early.
        early = self.early_validations.complete(upload, sender.partner) if sender.file_name is None else None
        await self._threads.run_write(upload.store)
        is_validated = early and await early.has_whole_body()
        await self._threads.run_write(upload.close_file)
        call = batch_process.accept_in_worker, self._worker_context, upload.uploaded_body, sender
        try:
            if early and is_validated:
                return await early.call(*call)
            # One partner never occupies all processes.
            async with self._acceptance_turns.take(sender.partner):
                return await self._processes.run(*call)
        except BrokenWorkerProcess:
            logger.exception("a worker process died while it accepted a request")
            detail = "A worker process died while it accepted the request. Look for its run before you repeat it."
            headers = {"Retry-After": "5"}
            raise Problem(HTTPStatus.SERVICE_UNAVAILABLE, "helper-lost", detail, headers=headers) from None

    # Execution

    def start(self, run: Run, early: EarlyValidation | None = None) -> None:
        """Executes an accepted run of this process, unless it is being executed already."""
        if run.run_id not in self._tasks:
            task = asyncio.create_task(self._execute(run, early))
            self._tasks[run.run_id] = task
            task.add_done_callback(lambda done_task: self._on_done(run, done_task))
            if early:
                task.add_done_callback(lambda _: early.release())
        elif early:
            early.release()

    async def _execute(self, run: Run, early: EarlyValidation | None) -> Run:
        if early and await early.has_whole_body():
            return await early.call(batch_process.execute_in_worker, self._worker_context, run.run_id)
        if run.body_bytes > SMALL_UPLOAD_BYTES or await self._is_large_undo(run):
            self.early_validations.make_room(run.partner)
            # A partner may have a run on each channel, and never occupies all processes.
            async with self._execution_turns.take(run.partner):
                return await self._processes.run(batch_process.execute_in_worker, self._worker_context, run.run_id)
        return await to_thread.run_sync(self._execute_in_thread, run, limiter=self._execution_threads)

    async def _is_large_undo(self, run: Run) -> bool:
        if not isinstance(run.input, Undo):
            return False
        return await self._threads.run_read(count_undone_events, self._runs, run.input) > SMALL_UNDO_EVENTS

    def _execute_in_thread(self, run: Run) -> Run:
        return execution.execute(self._runs, self._runs.claim(run.run_id), self._bounds)

    def _on_done(self, run: Run, task: asyncio.Task[Run]) -> None:
        del self._tasks[run.run_id]
        if task.cancelled():
            return
        match task.exception():
            case None | LeaseLost():
                pass
            case BrokenWorkerProcess() if not self._shutting_down.is_set():
                logger.warning("run %s: its worker process died and is replaced", run.run_id)
                self.start(run)
            case RunFailed(report=report):
                logger.error("run %s failed and will not be retried: %s", run.run_id, report)
            case error:
                logger.error("run %s was interrupted; a process will take it over", run.run_id, exc_info=error)

    # Supervision

    async def open(self, *, warm: bool) -> None:
        self._loop = asyncio.get_running_loop()
        self._checkers = [
            asyncio.create_task(self._repeat(check)) for check in (self._take_over_overdue, self._terminate_stalled)
        ]
        if warm:
            await self._warm_up()

    async def _warm_up(self) -> None:
        try:
            await self._processes.start_in_advance()
        except (BrokenWorkerProcess, StorageError) as error:
            logger.warning("no worker process could be started in advance: %r", error)

    def begin_shutdown(self) -> None:
        """Ends all waits for runs. Any thread may call this."""
        if self._loop:
            self._loop.call_soon_threadsafe(self._shutting_down.set)

    async def close(self) -> None:
        """Waits RUN_GRACE_SECONDS for runs to finish, and releases the others for other processes to take over."""
        self._shutting_down.set()
        for checker in self._checkers:
            checker.cancel()
        tasks = list(self._tasks.values())
        if tasks:
            _, unfinished = await asyncio.wait(tasks, timeout=RUN_GRACE_SECONDS)
            for task in unfinished:
                task.cancel()
            await asyncio.gather(*unfinished, return_exceptions=True)
        # A worker process that still stores a run holds the lock that the release needs.
        await self.early_validations.close()
        await self._processes.close()
        await self._threads.run_write(self._runs.release)

    async def _repeat(self, check: Callable[[], Awaitable[None]]) -> None:
        while True:
            try:
                await check()
            except StorageError as error:
                logger.warning("unfinished runs can't be supervised at the moment: %s", error)
            except Exception:
                logger.exception("the supervision of unfinished runs failed; it will be retried")
            await asyncio.sleep(self._check_seconds)

    async def _take_over_overdue(self) -> None:
        now = asyncio.get_running_loop().time()
        if self._cleaned_up_at is None or now - self._cleaned_up_at > CLEANUP_INTERVAL.total_seconds():
            await self._threads.run_write(self._abandoned.remove, now)
            self._cleaned_up_at = now
        for run in await self._threads.run_read(self._runs.find_overdue):
            # A run that this server executes already is not started again. If its worker process has stalled, the process
            # may hold a lock that a takeover needs: it is killed first, and then `_on_done` starts the run.
            self.start(run)

    async def _terminate_stalled(self) -> None:
        # In the threads that never wait for writers, so that a stalled writer cannot delay its own termination.
        if terminated := await self._threads.run_read(self._runs.ledger.recorder.terminate_stalled_writers):
            logger.warning("terminated %d stalled connections that held the ledger lock", terminated)
