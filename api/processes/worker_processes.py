"""The worker processes of a server: Python processes that call functions for it. They outlive a call and serve the next one.

The server watches a process during each call. It kills a process that has stalled, also one that was stopped while it held a
lock, and replaces an idle process that has kept too much memory.
"""

import asyncio
import logging
import pickle
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from typing import Any, TypeVar

from anyio import BrokenWorkerProcess

from api.processes.evidence import cpu_seconds, memory_bytes
from api.processes.process_watch import Patience, ProcessWatch, Vitals, has_stalled, observe_process
from api.processes.signals import hangups_blocked
from api.processes.worker_main import BEAT, BEAT_SECONDS, LENGTH, RAISED, RESTED

WORKER_MODULE = "api.processes.worker_main"
"""The module that a worker process runs. A benchmark replaces it to measure the functions inside."""
MAX_IDLE_SECONDS = 300.0
"""A process that is idle for longer is not needed any more."""

logger = logging.getLogger("offer_ledger")

_T = TypeVar("_T")


class WorkerProcess:
    """A process that calls one function at a time."""

    def __init__(self, process: Process, patience: Patience) -> None:
        self._process, self._patience = process, patience
        self._answers = 0
        self.idle_since = 0.0

    @classmethod
    async def start(cls, patience: Patience) -> "WorkerProcess":
        """Raises BrokenWorkerProcess."""
        try:
            with hangups_blocked():
                program = (sys.executable, "-m", WORKER_MODULE)
                started = cls(await asyncio.create_subprocess_exec(*program, stdin=PIPE, stdout=PIPE), patience)
            await started.watch(started._begin())
        except OSError as error:
            raise BrokenWorkerProcess(str(error)) from error
        return started

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def has_ended(self) -> bool:
        return self._process.returncode is not None

    async def call(self, function: Callable[..., _T], *args: object) -> _T:
        """Raises BrokenWorkerProcess if the process dies, or stalls and is killed, and else what the function raises."""
        call = pickle.dumps((pickle.dumps((function, args), pickle.HIGHEST_PROTOCOL),))
        kind, value = await self.watch(self._exchange(call))
        result: Any = pickle.loads(value)  # noqa: S301 - a process of this server has sent it
        if kind == RAISED:
            raise result
        return result  # type: ignore[no-any-return]

    async def rest(self) -> None:
        """Removes the objects that the process has kept, and waits until it has freed the memory of its calls."""
        await self.watch(self._free_memory())

    async def watch(self, work: Any) -> Any:
        """Waits for `work`, and kills the process if it stalls, if it dies, or if the wait is cancelled."""
        interval = min(BEAT_SECONDS, self._patience.idle / 4)
        task = asyncio.ensure_future(work)
        watch = ProcessWatch(Vitals(self._answers))
        try:
            while not task.done():
                await asyncio.wait({task}, timeout=interval)
                watch = observe_process(watch, Vitals(self._answers, cpu_seconds(self.pid)), interval)
                if not task.done() and has_stalled(watch, self._patience):
                    logger.warning("worker process %d stalled and is killed", self.pid)
                    raise BrokenWorkerProcess("The process stalled")
            return task.result()
        except (OSError, EOFError) as error:
            raise BrokenWorkerProcess("The process died") from error
        finally:
            if not task.done() or task.cancelled() or task.exception():
                task.cancel()
                await asyncio.shield(self.kill())

    async def kill(self) -> None:
        """Kills the process, also a stopped one, and waits for its end. Then it holds no lock any more."""
        with suppress(ProcessLookupError):
            self._process.kill()
        await self._process.wait()
        if self._process.stdin:
            self._process.stdin.close()

    async def _begin(self) -> None:
        self._send(pickle.dumps(sys.path))
        await self._read_until(BEAT)

    async def _exchange(self, call: bytes) -> tuple[bytes, bytes]:
        self._send(call)
        kind = await self._read_until_result()
        length = LENGTH.unpack(await self._read(LENGTH.size))[0]
        return kind, await self._read(length)

    async def _free_memory(self) -> None:
        self._send(pickle.dumps(None))
        await self._read_until(RESTED)

    def _send(self, message: bytes) -> None:
        assert self._process.stdin
        self._process.stdin.write(message)

    async def _read_until(self, kind: bytes) -> None:
        while await self._read(1) != kind:
            continue

    async def _read_until_result(self) -> bytes:
        while (kind := await self._read(1)) == BEAT:
            continue
        return kind

    async def _read(self, size: int) -> bytes:
        assert self._process.stdout
        read = await self._process.stdout.readexactly(size)
        self._answers += 1
        return read


class WorkerProcesses:
    """The worker processes of a server. Belongs to its event loop."""

    def __init__(self, patience: Patience, max_idle_bytes: int, prepare: tuple[Callable[..., Any], Any]) -> None:
        """`prepare`: a function and its argument. A process that starts before it is needed calls it."""
        self._patience, self._max_idle_bytes, self._prepare = patience, max_idle_bytes, prepare
        self._all: set[WorkerProcess] = set()
        self._idle: list[WorkerProcess] = []
        """In the order in which they became idle."""
        self._resting: set[asyncio.Task[None]] = set()
        self._others: set[asyncio.Task[None]] = set()
        self._is_closed = False

    async def run(self, function: Callable[..., _T], *args: object) -> _T:
        """Calls a function in a worker process. A cancelled call kills its process.

        Raises BrokenWorkerProcess if the process dies or stalls, and else what the function raises."""
        async with self.reserve() as process:
            return await process.call(function, *args)

    @asynccontextmanager
    async def reserve(self) -> AsyncIterator[WorkerProcess]:
        """Reserves a process for several calls. It keeps their `kept_objects` until the block ends.

        Raises BrokenWorkerProcess."""
        process = await self._take()
        try:
            yield process
        finally:
            self._give_back(process)

    async def start_in_advance(self) -> None:
        """Starts a process before it is needed. Raises what `run` raises."""
        function, argument = self._prepare
        await self.run(function, argument)

    async def close(self) -> None:
        """Kills all processes."""
        self._is_closed = True
        tasks = self._resting | self._others
        for task in tasks:
            task.cancel()
        await asyncio.gather(*(process.kill() for process in self._all), *tasks, return_exceptions=True)

    async def _take(self) -> WorkerProcess:
        while True:
            self._end_unneeded()
            while self._idle:
                if not (process := self._idle.pop()).has_ended:
                    return process
                self._all.discard(process)
            if not self._resting:
                break
            # A process that frees its memory is ready before a new one has started.
            await asyncio.wait(self._resting, return_when=asyncio.FIRST_COMPLETED)
        process = await WorkerProcess.start(self._patience)
        self._all.add(process)
        return process

    def _give_back(self, process: WorkerProcess) -> None:
        if process.has_ended or self._is_closed:
            self._all.discard(process)
            return
        _start_task(self._rest(process), self._resting)

    async def _rest(self, process: WorkerProcess) -> None:
        try:
            await process.rest()
        except BrokenWorkerProcess:
            self._all.discard(process)
            return
        held = memory_bytes(process.pid)
        if held is None or held <= self._max_idle_bytes:
            process.idle_since = asyncio.get_running_loop().time()
            self._idle.append(process)
            return
        logger.info("worker process %d holds %d MiB and is replaced", process.pid, held // 2**20)
        self._all.discard(process)
        await process.kill()
        if not self._idle:
            _start_task(self._replace(), self._others)

    async def _replace(self) -> None:
        with suppress(Exception):  # the next call starts a process, and its caller gets the error
            await self.start_in_advance()

    def _end_unneeded(self) -> None:
        """Ends processes that have been idle for long, but never the one that would be used next."""
        now = asyncio.get_running_loop().time()
        while len(self._idle) > 1 and now - self._idle[0].idle_since >= MAX_IDLE_SECONDS:
            process = self._idle.pop(0)
            self._all.discard(process)
            _start_task(process.kill(), self._others)


def _start_task(work: Coroutine[Any, Any, None], tasks: set[asyncio.Task[None]]) -> None:
    """Starts a task, and keeps it in the set until it is done."""
    task = asyncio.create_task(work)
    tasks.add(task)
    task.add_done_callback(tasks.discard)
