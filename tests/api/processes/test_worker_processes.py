"""Worker processes: what a server gets when they die, stall, or keep much memory."""

import asyncio
import gc
import os
import signal
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from anyio import BrokenWorkerProcess

from api.processes.kept_objects import kept_objects
from api.processes.process_watch import Patience
from api.processes.worker_processes import WorkerProcesses

MEBIBYTE = 2**20
PATIENCE = Patience(starting=60, idle=2, silent=60)
kept: list[bytearray] = []


def use(work: Callable[[WorkerProcesses], Awaitable[Any]], max_idle_bytes: int = 256 * MEBIBYTE) -> Any:
    async def run() -> Any:
        processes = WorkerProcesses(PATIENCE, max_idle_bytes, (dict, ()))
        try:
            return await work(processes)
        finally:
            await processes.close()
            gc.collect()  # closes the transports of the dead processes while the event loop exists
            await asyncio.sleep(0.1)

    return asyncio.run(run())


def keep(mebibytes: int) -> int:
    kept.append(bytearray(os.urandom(MEBIBYTE) * mebibytes))
    return os.getpid()


def keep_object(size: int) -> int:
    """Returns the sum of the sizes that the process has kept."""
    kept_objects[size] = size
    return sum(kept_objects.values())


def stop() -> None:
    os.kill(os.getpid(), signal.SIGSTOP)


def work_for(seconds: float) -> int:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        pass
    return os.getpid()


def divide(number: int) -> float:
    return 1 / number


def exit_at_once() -> None:
    os._exit(0)


def test_process_serves_one_call_after_the_other() -> None:
    async def work(processes: WorkerProcesses) -> list[int]:
        return [await processes.run(os.getpid) for _ in range(3)]

    assert len(set(use(work))) == 1


def test_reserved_process_keeps_objects_until_it_is_given_back() -> None:
    async def work(processes: WorkerProcesses) -> list[int]:
        async with processes.reserve() as process:
            sizes = [await process.call(keep_object, size) for size in (1, 2)]
        return [*sizes, await processes.run(keep_object, 3)]

    assert use(work) == [1, 3, 3]


def test_calls_at_the_same_time_have_processes_of_their_own() -> None:
    async def work(processes: WorkerProcesses) -> list[int]:
        return [*await asyncio.gather(processes.run(work_for, 0.5), processes.run(work_for, 0.5))]

    assert len(set(use(work))) == 2


def test_error_of_a_function_reaches_the_caller() -> None:
    with pytest.raises(ZeroDivisionError):
        use(lambda processes: processes.run(divide, 0))


def test_death_of_a_process_raises_broken_worker_process() -> None:
    async def work(processes: WorkerProcesses) -> int:
        with pytest.raises(BrokenWorkerProcess):
            await processes.run(exit_at_once)
        return await processes.run(os.getpid)

    assert use(work)


def test_death_of_a_starting_process_raises_broken_worker_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")

    async def work(processes: WorkerProcesses) -> list[Any]:
        # It is chance whether a death is noticed at once, so many processes are started.
        return await asyncio.gather(*(processes.run(os.getpid) for _ in range(20)), return_exceptions=True)

    assert {type(error) for error in use(work)} == {BrokenWorkerProcess}


def test_stopped_process_is_killed_and_a_working_one_is_not() -> None:
    async def work(processes: WorkerProcesses) -> list[Any]:
        calls = (processes.run(stop), processes.run(work_for, 2 * PATIENCE.idle))
        return [*await asyncio.gather(*calls, return_exceptions=True)]

    stopped, working = use(work)
    assert isinstance(stopped, BrokenWorkerProcess)
    assert isinstance(working, int)


def test_cancelled_call_kills_its_process() -> None:
    async def work(processes: WorkerProcesses) -> tuple[int, int]:
        before = await processes.run(os.getpid)
        call = asyncio.create_task(processes.run(work_for, 60))
        await asyncio.sleep(0.5)
        call.cancel()
        await asyncio.wait({call})
        assert call.cancelled()
        return before, await processes.run(os.getpid)

    before, after = use(work)
    assert before != after


def test_process_that_keeps_much_memory_is_replaced() -> None:
    async def work(processes: WorkerProcesses) -> tuple[list[int], list[int]]:
        small = [await processes.run(keep, 1) for _ in range(3)]
        return small, [await processes.run(keep, 80) for _ in range(2)]

    small, large = use(work, max_idle_bytes=64 * MEBIBYTE)
    assert len(set(small)) == 1
    assert large[0] == small[0] != large[1]
