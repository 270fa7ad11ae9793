"""Does everybody who shares a commit get an answer of their own, and nobody wait longer than needed?"""

import asyncio
import gc
import random
import threading
from collections.abc import Callable, Sequence

import pytest
from anyio import CancelScope, create_task_group, fail_after, sleep

from api.server.group_commit import MOST_AT_ONCE, GroupCommit

PATIENCE_SECONDS = 30.0
SUBMISSIONS = 5_000

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Work:
    """Writes a commit when the test lets it, and says of every request that it is done."""

    def __init__(self) -> None:
        self.groups: list[list[int]] = []
        self.faults: dict[int, Exception] = {}
        """By the number of the group that meets it."""
        self.written = threading.Event()
        self.written.set()
        self._alone = threading.Lock()

    def __call__(self, requests: Sequence[int]) -> list[str]:
        assert self._alone.acquire(blocking=False), "one commit at a time"
        try:
            self.groups.append(list(requests))
            number = len(self.groups) - 1
            assert self.written.wait(PATIENCE_SECONDS)
            if number in self.faults:
                raise self.faults[number]
            return [done(request) for request in requests]
        finally:
            self._alone.release()

    @property
    def carried_out(self) -> list[int]:
        return [request for group in self.groups for request in group]


def done(request: int) -> str:
    return f"{request} done"


@pytest.fixture
def work() -> Work:
    return Work()


@pytest.fixture
def commits(work: Work) -> GroupCommit[int, str]:
    return GroupCommit(work)


async def until(true: Callable[[], bool]) -> None:
    with fail_after(PATIENCE_SECONDS):
        while not true():  # noqa: ASYNC110 - what is waited for happens in a thread
            await sleep(0.001)


async def submitted(commits: GroupCommit[int, str], *requests: int) -> list[asyncio.Task[str]]:
    """Callers who wait by now, in this order."""
    tasks = [asyncio.create_task(commits.submit(request)) for request in requests]
    await asyncio.sleep(0)
    return tasks


async def one_is_being_written(work: Work, commits: GroupCommit[int, str]) -> asyncio.Task[str]:
    """Request 0, whose commit is held up."""
    work.written.clear()
    (first,) = await submitted(commits, 0)
    await until(lambda: work.groups == [[0]])
    return first


async def answers(tasks: Sequence[asyncio.Task[str]]) -> list[str | BaseException]:
    with fail_after(PATIENCE_SECONDS):
        return await asyncio.gather(*tasks, return_exceptions=True)


async def test_who_comes_alone_goes_at_once(work: Work, commits: GroupCommit[int, str]) -> None:
    first = await one_is_being_written(work, commits)
    work.written.set()
    assert await answers([first]) == [done(0)]


async def test_who_comes_when_nobody_was_there_for_a_while_goes_at_once_too(
    work: Work, commits: GroupCommit[int, str]
) -> None:
    for request in range(3):
        assert await answers(await submitted(commits, request)) == [done(request)]
        await sleep(0.01)
    assert work.groups == [[0], [1], [2]]


async def test_who_comes_while_a_commit_is_written_goes_into_the_next_one_all_together(
    work: Work, commits: GroupCommit[int, str]
) -> None:
    first = await one_is_being_written(work, commits)
    others = [task for request in (1, 2, 3) for task in await submitted(commits, request)]
    await sleep(0.01)
    assert not any(task.done() for task in (first, *others))
    work.written.set()
    assert await answers([first, *others]) == [done(request) for request in range(4)]
    assert work.groups == [[0], [1, 2, 3]]


async def test_a_group_is_bounded_and_the_order_is_kept(work: Work, commits: GroupCommit[int, str]) -> None:
    first = await one_is_being_written(work, commits)
    others = await submitted(commits, *range(1, 2 * MOST_AT_ONCE + 2))
    work.written.set()
    assert await answers([first, *others]) == [done(request) for request in range(2 * MOST_AT_ONCE + 2)]
    assert [len(group) for group in work.groups] == [1, MOST_AT_ONCE, MOST_AT_ONCE, 1]
    assert work.carried_out == list(range(2 * MOST_AT_ONCE + 2))


async def test_the_same_request_twice_is_carried_out_twice(work: Work, commits: GroupCommit[int, str]) -> None:
    first = await one_is_being_written(work, commits)
    others = await submitted(commits, 7, 7)
    work.written.set()
    assert await answers([first, *others]) == [done(0), done(7), done(7)]
    assert work.groups == [[0], [7, 7]]


async def test_a_result_that_is_an_exception_is_a_result() -> None:
    refusal = ValueError("no")
    commits: GroupCommit[int, Exception] = GroupCommit(lambda requests: [refusal for _ in requests])
    with fail_after(PATIENCE_SECONDS):
        assert await commits.submit(1) is refusal


# Faults


async def test_a_fault_is_told_to_everyone_of_its_group_and_to_nobody_else(
    work: Work, commits: GroupCommit[int, str]
) -> None:
    fault = OSError("disk full")
    work.faults[1] = fault
    first = await one_is_being_written(work, commits)
    with_fault = await submitted(commits, *range(1, MOST_AT_ONCE + 1))
    after = await submitted(commits, -1, -2)
    work.written.set()
    assert await answers([first, *after]) == [done(0), done(-1), done(-2)]
    assert await answers(with_fault) == [fault] * MOST_AT_ONCE


async def test_after_a_fault_of_the_last_group_the_next_one_works(work: Work, commits: GroupCommit[int, str]) -> None:
    fault = OSError("disk full")
    work.faults[0] = fault
    assert await answers(await submitted(commits, 1, 2)) == [fault, fault]
    assert await answers(await submitted(commits, 3)) == [done(3)]


# Callers who go away


async def test_who_goes_away_stops_neither_the_commit_nor_the_others(
    work: Work, commits: GroupCommit[int, str]
) -> None:
    first = await one_is_being_written(work, commits)
    others = await submitted(commits, 1, 2, 3)
    for gone in (first, others[1]):
        gone.cancel()
    told = await answers([first, others[1]])
    assert [type(answer) for answer in told] == [asyncio.CancelledError] * 2
    work.written.set()
    assert await answers([others[0], others[2]]) == [done(1), done(3)]
    assert work.groups == [[0], [1, 2, 3]]


async def test_what_was_asked_is_done_even_if_everyone_goes_away_at_once(
    work: Work, commits: GroupCommit[int, str]
) -> None:
    work.written.clear()
    tasks = await submitted(commits, 1, 2)
    for task in tasks:
        task.cancel()
    await answers(tasks)
    (later,) = await submitted(commits, 3)
    work.written.set()
    assert await answers([later]) == [done(3)]
    assert work.carried_out == [1, 2, 3]


async def test_who_is_out_of_time_is_let_go_while_the_commit_goes_on(
    work: Work, commits: GroupCommit[int, str]
) -> None:
    work.written.clear()
    async with create_task_group() as group:
        with CancelScope() as impatient:
            group.start_soon(until, lambda: work.groups == [[1]])
            asyncio.get_running_loop().call_later(0.05, impatient.cancel)
            await commits.submit(1)
    assert impatient.cancelled_caught
    (later,) = await submitted(commits, 2)
    work.written.set()
    assert await answers([later]) == [done(2)]
    assert work.groups == [[1], [2]]


async def test_nobody_complains_of_a_fault_that_nobody_waits_for(
    work: Work, commits: GroupCommit[int, str], caplog: pytest.LogCaptureFixture
) -> None:
    work.faults[0] = OSError("disk full")
    first = await one_is_being_written(work, commits)
    first.cancel()
    await answers([first])
    (later,) = await submitted(commits, 1)
    work.written.set()
    assert await answers([later]) == [done(1)]
    del first
    gc.collect()
    assert caplog.text == ""


# Many


async def test_thousands_who_come_at_random_moments_get_each_their_own_answer(
    work: Work, commits: GroupCommit[int, str]
) -> None:
    moments = random.Random(1)

    async def ask(request: int) -> str:
        await asyncio.sleep(moments.uniform(0, 0.3))
        return await commits.submit(request)

    tasks = [asyncio.create_task(ask(request)) for request in range(SUBMISSIONS)]
    assert await answers(tasks) == [done(request) for request in range(SUBMISSIONS)]
    assert sorted(work.carried_out) == list(range(SUBMISSIONS))
    assert max(len(group) for group in work.groups) <= MOST_AT_ONCE


async def test_thousands_of_whom_some_go_away_are_all_carried_out_once(
    work: Work, commits: GroupCommit[int, str]
) -> None:
    chance = random.Random(2)

    async def ask(request: int) -> str:
        await asyncio.sleep(chance.uniform(0, 0.2))
        return await asyncio.wait_for(commits.submit(request), chance.choice([0.001, None]))

    told = await answers([asyncio.create_task(ask(request)) for request in range(SUBMISSIONS)])
    await until(lambda: len(work.carried_out) == SUBMISSIONS)
    assert all(answer == done(n) or isinstance(answer, TimeoutError) for n, answer in enumerate(told))
    assert sorted(work.carried_out) == list(range(SUBMISSIONS))


async def test_where_it_would_fail_again_those_who_have_come_meanwhile_fail_too(work: Work) -> None:
    lookups = GroupCommit[int, str](work, fails_for_all=True)
    work.written.clear()
    work.faults[0] = RuntimeError("gone")
    waiting = await submitted(lookups, 1)
    await until(lambda: work.groups == [[1]])
    waiting += await submitted(lookups, 2, 3)
    work.written.set()
    assert [str(told) for told in await asyncio.gather(*waiting, return_exceptions=True)] == ["gone"] * 3
    assert await lookups.submit(4) == done(4)
