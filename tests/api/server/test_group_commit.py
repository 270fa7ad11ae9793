"""Tests of the group commit: each request gets its own result and waits no longer than needed."""

import asyncio
import gc
import random
import threading
from collections.abc import Callable, Sequence

import pytest
from anyio import CancelScope, create_task_group, fail_after, sleep

from api.server.group_commit import MAX_GROUP_SIZE, GroupCommit
from tests.support.waiting import PATIENCE_SECONDS

SUBMISSIONS = 5_000

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Work:
    """Executes groups of requests when the test allows it. The result of a request is its `done` text."""

    def __init__(self) -> None:
        self.groups: list[list[int]] = []
        self.faults: dict[int, Exception] = {}
        """The exceptions to raise, by the number of the group."""
        self.written = threading.Event()
        self.written.set()
        self._lock = threading.Lock()

    def __call__(self, requests: Sequence[int]) -> list[str]:
        assert self._lock.acquire(blocking=False), "one commit at a time"
        try:
            self.groups.append(list(requests))
            number = len(self.groups) - 1
            assert self.written.wait(PATIENCE_SECONDS)
            if number in self.faults:
                raise self.faults[number]
            return [done(request) for request in requests]
        finally:
            self._lock.release()

    @property
    def executed(self) -> list[int]:
        return [request for group in self.groups for request in group]


def done(request: int) -> str:
    return f"{request} done"


@pytest.fixture
def work() -> Work:
    return Work()


@pytest.fixture
def commits(work: Work) -> GroupCommit[int, str]:
    return GroupCommit(work)


async def wait_until(condition: Callable[[], bool]) -> None:
    with fail_after(PATIENCE_SECONDS):
        while not condition():  # noqa: ASYNC110 - the awaited change happens in a thread, without an event
            await sleep(0.001)


async def submitted(commits: GroupCommit[int, str], *requests: int) -> list[asyncio.Task[str]]:
    """Returns tasks of callers that have submitted in this order and wait."""
    tasks = [asyncio.create_task(commits.submit(request)) for request in requests]
    await asyncio.sleep(0)
    return tasks


async def start_held_commit(work: Work, commits: GroupCommit[int, str]) -> asyncio.Task[str]:
    """Submits request 0 and returns its task. Its commit waits for `work.written`."""
    work.written.clear()
    (first,) = await submitted(commits, 0)
    await wait_until(lambda: work.groups == [[0]])
    return first


async def results_of(tasks: Sequence[asyncio.Task[str]]) -> list[str | BaseException]:
    with fail_after(PATIENCE_SECONDS):
        return await asyncio.gather(*tasks, return_exceptions=True)


async def test_single_request_is_executed_at_once(work: Work, commits: GroupCommit[int, str]) -> None:
    first = await start_held_commit(work, commits)
    work.written.set()
    assert await results_of([first]) == [done(0)]


async def test_request_after_a_pause_is_executed_at_once(work: Work, commits: GroupCommit[int, str]) -> None:
    for request in range(3):
        assert await results_of(await submitted(commits, request)) == [done(request)]
        await sleep(0.01)
    assert work.groups == [[0], [1], [2]]


async def test_requests_during_a_commit_share_the_next_one(work: Work, commits: GroupCommit[int, str]) -> None:
    first = await start_held_commit(work, commits)
    others = [task for request in (1, 2, 3) for task in await submitted(commits, request)]
    await sleep(0.01)
    assert not any(task.done() for task in (first, *others))
    work.written.set()
    assert await results_of([first, *others]) == [done(request) for request in range(4)]
    assert work.groups == [[0], [1, 2, 3]]


async def test_groups_are_bounded_and_keep_the_order(work: Work, commits: GroupCommit[int, str]) -> None:
    first = await start_held_commit(work, commits)
    others = await submitted(commits, *range(1, 2 * MAX_GROUP_SIZE + 2))
    work.written.set()
    assert await results_of([first, *others]) == [done(request) for request in range(2 * MAX_GROUP_SIZE + 2)]
    assert [len(group) for group in work.groups] == [1, MAX_GROUP_SIZE, MAX_GROUP_SIZE, 1]
    assert work.executed == list(range(2 * MAX_GROUP_SIZE + 2))


async def test_equal_requests_are_executed_separately(work: Work, commits: GroupCommit[int, str]) -> None:
    first = await start_held_commit(work, commits)
    others = await submitted(commits, 7, 7)
    work.written.set()
    assert await results_of([first, *others]) == [done(0), done(7), done(7)]
    assert work.groups == [[0], [7, 7]]


async def test_exception_as_result_is_returned() -> None:
    refusal = ValueError("no")
    commits: GroupCommit[int, Exception] = GroupCommit(lambda requests: [refusal for _ in requests])
    with fail_after(PATIENCE_SECONDS):
        assert await commits.submit(1) is refusal


# Faults


async def test_fault_is_raised_only_in_its_group(work: Work, commits: GroupCommit[int, str]) -> None:
    fault = OSError("disk full")
    work.faults[1] = fault
    first = await start_held_commit(work, commits)
    with_fault = await submitted(commits, *range(1, MAX_GROUP_SIZE + 1))
    after = await submitted(commits, -1, -2)
    work.written.set()
    assert await results_of([first, *after]) == [done(0), done(-1), done(-2)]
    assert await results_of(with_fault) == [fault] * MAX_GROUP_SIZE


async def test_group_after_a_fault_is_executed(work: Work, commits: GroupCommit[int, str]) -> None:
    fault = OSError("disk full")
    work.faults[0] = fault
    assert await results_of(await submitted(commits, 1, 2)) == [fault, fault]
    assert await results_of(await submitted(commits, 3)) == [done(3)]


# Cancelled callers


async def test_cancelled_caller_stops_neither_commit_nor_others(work: Work, commits: GroupCommit[int, str]) -> None:
    first = await start_held_commit(work, commits)
    others = await submitted(commits, 1, 2, 3)
    for task in (first, others[1]):
        task.cancel()
    cancelled = await results_of([first, others[1]])
    assert [type(result) for result in cancelled] == [asyncio.CancelledError] * 2
    work.written.set()
    assert await results_of([others[0], others[2]]) == [done(1), done(3)]
    assert work.groups == [[0], [1, 2, 3]]


async def test_requests_are_executed_if_all_callers_are_cancelled(work: Work, commits: GroupCommit[int, str]) -> None:
    work.written.clear()
    tasks = await submitted(commits, 1, 2)
    for task in tasks:
        task.cancel()
    await results_of(tasks)
    (later,) = await submitted(commits, 3)
    work.written.set()
    assert await results_of([later]) == [done(3)]
    assert work.executed == [1, 2, 3]


async def test_caller_with_timeout_returns_while_the_commit_continues(
    work: Work, commits: GroupCommit[int, str]
) -> None:
    work.written.clear()
    async with create_task_group() as group:
        with CancelScope() as timeout_scope:
            group.start_soon(wait_until, lambda: work.groups == [[1]])
            asyncio.get_running_loop().call_later(0.05, timeout_scope.cancel)
            await commits.submit(1)
    assert timeout_scope.cancelled_caught
    (later,) = await submitted(commits, 2)
    work.written.set()
    assert await results_of([later]) == [done(2)]
    assert work.groups == [[1], [2]]


async def test_fault_without_waiting_caller_logs_nothing(
    work: Work, commits: GroupCommit[int, str], caplog: pytest.LogCaptureFixture
) -> None:
    work.faults[0] = OSError("disk full")
    first = await start_held_commit(work, commits)
    first.cancel()
    await results_of([first])
    (later,) = await submitted(commits, 1)
    work.written.set()
    assert await results_of([later]) == [done(1)]
    del first
    gc.collect()
    assert caplog.text == ""


# Many callers


async def test_thousands_of_callers_get_their_own_results(work: Work, commits: GroupCommit[int, str]) -> None:
    delays = random.Random(1)

    async def submit_later(request: int) -> str:
        await asyncio.sleep(delays.uniform(0, 0.3))
        return await commits.submit(request)

    tasks = [asyncio.create_task(submit_later(request)) for request in range(SUBMISSIONS)]
    assert await results_of(tasks) == [done(request) for request in range(SUBMISSIONS)]
    assert sorted(work.executed) == list(range(SUBMISSIONS))
    assert max(len(group) for group in work.groups) <= MAX_GROUP_SIZE


async def test_thousands_of_requests_with_cancelled_callers_execute_once(
    work: Work, commits: GroupCommit[int, str]
) -> None:
    chance = random.Random(2)

    async def submit_later(request: int) -> str:
        await asyncio.sleep(chance.uniform(0, 0.2))
        return await asyncio.wait_for(commits.submit(request), chance.choice([0.001, None]))

    results = await results_of([asyncio.create_task(submit_later(request)) for request in range(SUBMISSIONS)])
    await wait_until(lambda: len(work.executed) == SUBMISSIONS)
    assert all(result == done(n) or isinstance(result, TimeoutError) for n, result in enumerate(results))
    assert sorted(work.executed) == list(range(SUBMISSIONS))


async def test_fault_with_fails_for_all_also_fails_waiting_requests(work: Work) -> None:
    lookups = GroupCommit[int, str](work, fails_for_all=True)
    work.written.clear()
    work.faults[0] = RuntimeError("gone")
    waiting = await submitted(lookups, 1)
    await wait_until(lambda: work.groups == [[1]])
    waiting += await submitted(lookups, 2, 3)
    work.written.set()
    assert [str(result) for result in await asyncio.gather(*waiting, return_exceptions=True)] == ["gone"] * 3
    assert await lookups.submit(4) == done(4)
