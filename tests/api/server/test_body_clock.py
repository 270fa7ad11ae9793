"""The clock of bodies counts only the time in which the server waits."""

import asyncio
import time
from collections.abc import Awaitable, Callable

import pytest
from starlette.types import Message

from api.bounds.settings import BoundSettings
from api.http.problems import Problem
from api.server.bodies.body_clock import BodyClock, BodyTime
from api.server.shutdown import ShutdownSignal

PIECE: Message = {"type": "http.request", "body": b"x", "more_body": True}
BOUNDS = BoundSettings(max_body_pause_seconds=0.3, max_body_seconds=0.5)


def wait_with(work: Callable[[BodyClock, BodyTime], Awaitable[None]], *, is_bounded: bool = True) -> None:
    async def run() -> None:
        await work(BodyClock(BOUNDS, ShutdownSignal()), BodyTime(lambda: is_bounded))

    asyncio.run(run())


async def never() -> Message:
    await asyncio.Event().wait()
    return PIECE


async def soon() -> Message:
    await asyncio.sleep(0.05)
    return PIECE


async def receive_all(clock: BodyClock, body: BodyTime) -> None:
    while True:
        await clock.wait(soon, body)


def test_pause_ends_with_408() -> None:
    async def work(clock: BodyClock, body: BodyTime) -> None:
        await clock.wait(soon, body)
        with pytest.raises(Problem) as refused:
            await clock.wait(never, body)
        assert (refused.value.status, refused.value.kind) == (408, "request-timeout")
        assert "OFFER_LEDGER_MAX_BODY_PAUSE_SECONDS" in refused.value.detail

    wait_with(work)


def test_pieces_without_pauses_end_with_408_too() -> None:
    async def work(clock: BodyClock, body: BodyTime) -> None:
        with pytest.raises(Problem, match="OFFER_LEDGER_MAX_BODY_SECONDS"):
            await receive_all(clock, body)

    wait_with(work)


def test_each_64_kib_of_a_body_gives_it_a_second() -> None:
    async def work(clock: BodyClock, body: BodyTime) -> None:
        body.received_bytes = 64 * 1024
        for _ in range(20):
            await clock.wait(soon, body)
        assert body.seconds > 0.5

    wait_with(work)


def test_body_on_disk_has_no_bound_on_its_whole_time() -> None:
    async def work(clock: BodyClock, body: BodyTime) -> None:
        body.is_in_memory = False
        for _ in range(20):
            await clock.wait(soon, body)

    wait_with(work)


def test_time_in_which_the_server_stalls_is_not_counted() -> None:
    async def work(clock: BodyClock, body: BodyTime) -> None:
        waiting = asyncio.create_task(clock.wait(soon, body))
        await asyncio.sleep(0)
        time.sleep(1)  # noqa: ASYNC251 - the stall
        assert await waiting == PIECE

    wait_with(work)


def test_reply_that_has_begun_ends_the_bounds() -> None:
    async def work(clock: BodyClock, body: BodyTime) -> None:
        async def late() -> Message:
            await asyncio.sleep(0.6)
            return PIECE

        assert await clock.wait(late, body) == PIECE

    wait_with(work, is_bounded=False)
