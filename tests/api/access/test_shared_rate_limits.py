"""Do processes that share a Redis share one count, and does nobody notice when it is not there?"""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import TypeVar

import httpx2
import pytest
import redis as redis_client

from api.access.rate_limits import RequestLimiter
from api.service import Service
from api.settings import Settings
from tests.support.calls.merchants import QUOTA_PATH, limit, put
from tests.support.examples import PARTNER
from tests.support.harness import Call, Caller, MakeToken
from tests.support.processes.redis_server import RedisServer

PATIENCE_SECONDS = 10.0
SLOW_SECONDS = 2.0
OFFERS = "/api/v1/offers"
LOST, BACK = "can't be used", "can be used again"
ANOTHER_PROCESS = """
import sys
from api.access.rate_limits import RequestLimiter
limiter = RequestLimiter(sys.argv[1])
print([limiter.seconds_to_wait("feed", 5) for _ in range(3)])
"""

T = TypeVar("T")


@pytest.fixture
def redis() -> Iterator[RedisServer]:
    with RedisServer().running() as running:
        yield running


@pytest.fixture
def settings(tmp_path: Path, redis: RedisServer) -> Settings:
    redis_url = f"{redis.url}/0?socket_timeout={SLOW_SECONDS}"
    return Settings(database_url=f"sqlite:///{tmp_path}/ledger.db", redis_url=redis_url)


@pytest.fixture
def limiter(redis: RedisServer) -> Iterator[RequestLimiter]:
    """One that looks often whether Redis is back."""
    with closing(RequestLimiter(redis.url, retry_seconds=0.05)) as made:
        yield made


def may_go_on(limiter: RequestLimiter, times: int, per_minute: int) -> int:
    """How many of so many requests may."""
    return sum(limiter.seconds_to_wait("feed", per_minute) is None for _ in range(times))


def within_a_second(ask: Callable[[], T]) -> T:
    """What is told of a second holds for no longer."""
    while True:
        began = time.monotonic()
        answer = ask()
        if time.monotonic() - began < 0.9:
            return answer
        time.sleep(1)


def told(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [next(word for word in (LOST, BACK) if word in record.message) for record in caplog.records]


def await_told(caplog: pytest.LogCaptureFixture, *words: str) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while told(caplog) != list(words):
        assert time.monotonic() < deadline, told(caplog)
        time.sleep(0.02)


# One count


def test_two_processes_share_one_count(redis: RedisServer, limiter: RequestLimiter) -> None:
    other = subprocess.run(
        [sys.executable, "-c", ANOTHER_PROCESS, redis.url], capture_output=True, text=True, check=True
    )
    assert (other.stdout, other.stderr) == ("[None, None, None]\n", "")
    assert may_go_on(limiter, 4, 5) == 2


def test_a_refusal_tells_how_long_to_wait(limiter: RequestLimiter) -> None:
    assert limiter.seconds_to_wait("feed", 1) is None
    assert limiter.seconds_to_wait("feed", 1) in range(50, 61)


def test_the_pace_is_counted_together(redis: RedisServer, limiter: RequestLimiter) -> None:
    with closing(RequestLimiter(redis.url)) as other:
        limiters = (limiter, other, limiter)
        paces = within_a_second(lambda: [each.pace("tidepool", 2) for each in limiters])
    assert paces == [(1, None), (0, None), (0, 1)]


def test_the_count_is_exact_however_many_ask_at_once(redis: RedisServer, limiter: RequestLimiter) -> None:
    with closing(RequestLimiter(redis.url)) as other, ThreadPoolExecutor(16) as pool:
        assert sum(pool.map(lambda n: may_go_on((limiter, other)[n % 2], 5, 50), range(32))) == 50


def test_the_count_of_one_process_is_exact_too() -> None:
    limiter = RequestLimiter()
    with ThreadPoolExecutor(16) as pool:
        assert sum(pool.map(lambda _: may_go_on(limiter, 50, 500), range(32))) == 500


def test_everything_in_redis_has_a_prefix_and_an_end(redis: RedisServer, limiter: RequestLimiter) -> None:
    limiter.seconds_to_wait("feed", 5)
    limiter.pace("tidepool", 5)
    with redis_client.Redis.from_url(redis.url, decode_responses=True) as client:
        keys = list(client.scan_iter())
        assert {key.partition(":")[0] for key in keys} == {"offer-ledger"}
        assert all(0 <= client.ttl(key) <= 60 for key in keys)


def test_a_unix_socket_serves_as_well(tmp_path: Path) -> None:
    path = tmp_path / "r.sock"
    with RedisServer(unixsocket=str(path)).running():
        limiters = [RequestLimiter(f"unix://{path}") for _ in range(2)]
        assert [may_go_on(each, 2, 3) for each in limiters] == [2, 1]


# An outage


def test_without_redis_a_process_counts_for_itself_and_says_so_once(
    redis: RedisServer, limiter: RequestLimiter, caplog: pytest.LogCaptureFixture
) -> None:
    assert may_go_on(limiter, 2, 5) == 2
    redis.stop()
    assert may_go_on(limiter, 9, 5) == 5
    assert within_a_second(lambda: [limiter.pace("tidepool", 2) for _ in range(2)]) == [(1, None), (0, None)]
    assert told(caplog) == [LOST]


def test_a_redis_that_was_never_there_is_the_same(caplog: pytest.LogCaptureFixture) -> None:
    with closing(RequestLimiter(RedisServer().url)) as limiter:
        assert may_go_on(limiter, 9, 5) == 5
    assert told(caplog) == [LOST]


def test_when_redis_is_back_it_counts_again(
    redis: RedisServer, limiter: RequestLimiter, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(2):
        redis.stop()
        limiter.seconds_to_wait("feed", 100)
        redis.start()
        await_told(caplog, LOST, BACK)
        with closing(RequestLimiter(redis.url)) as other:
            assert (may_go_on(limiter, 3, 5), may_go_on(other, 3, 5)) == (3, 2)
        caplog.clear()


def test_a_restart_between_two_requests_is_no_outage(
    redis: RedisServer, limiter: RequestLimiter, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(2):
        assert may_go_on(limiter, 5, 3) == 3
        redis.stop()
        redis.start()
    assert told(caplog) == []


def test_a_redis_that_hangs_keeps_nobody_waiting(
    redis: RedisServer, limiter: RequestLimiter, caplog: pytest.LogCaptureFixture
) -> None:
    limiter.seconds_to_wait("feed", 5)
    with redis.frozen():
        began = time.monotonic()
        assert may_go_on(limiter, 1, 5) == 1
        assert time.monotonic() - began < 2
        began = time.monotonic()
        assert may_go_on(limiter, 100, 100) == 100
        assert time.monotonic() - began < 2
    await_told(caplog, LOST, BACK)


@pytest.mark.parametrize(("name", "value"), [("requirepass", "secret"), ("min-replicas-to-write", "1")])
def test_a_redis_that_refuses_is_as_good_as_none(
    redis: RedisServer, limiter: RequestLimiter, caplog: pytest.LogCaptureFixture, name: str, value: str
) -> None:
    with redis_client.Redis.from_url(redis.url) as client:
        client.config_set(name, value)
        assert may_go_on(limiter, 9, 5) == 5
        time.sleep(0.3)
        assert may_go_on(limiter, 9, 5) == 0
        assert told(caplog) == [LOST]


def test_a_name_that_no_host_can_have_fails_no_request(caplog: pytest.LogCaptureFixture) -> None:
    with closing(RequestLimiter("redis://no..host")) as limiter:
        assert may_go_on(limiter, 9, 5) == 5
    assert told(caplog) == [LOST]


# Over HTTP


def statuses(count: int, ask: Callable[[], httpx2.Response]) -> list[int]:
    return [ask().status_code for _ in range(count)]


def test_calls_beyond_the_limit_of_a_minute_wait(
    redis: RedisServer, call: Call, token: MakeToken, limiter: RequestLimiter
) -> None:
    caller = call(token(name="feed", requests_per_minute=5))
    assert may_go_on(limiter, 3, 5) == 3
    assert statuses(3, lambda: caller.get(OFFERS)) == [200, 200, 429]
    redis.stop()
    assert statuses(6, lambda: caller.get(OFFERS)) == [200] * 5 + [429]


def test_single_requests_beyond_the_pace_are_refused(partner: Caller, service: Service, redis: RedisServer) -> None:
    limit(service, rps=1)
    replies = [put(partner) for _ in range(10)]
    refused = [reply for reply in replies if reply.status_code == 429]
    assert {reply.status_code for reply in replies} == {202, 429}
    assert all('"rps";r=0;t=1' in reply.headers["RateLimit"] for reply in refused)
    redis.stop()
    assert {put(partner).status_code for _ in range(10)} == {202, 429}


def test_the_limits_that_are_told_are_those_of_all_processes(
    partner: Caller, service: Service, limiter: RequestLimiter
) -> None:
    limit(service, rps=1000, daily_quota=0)

    def ask() -> list[str]:
        for _ in range(10):
            limiter.pace(PARTNER, 1000)
        return [reply.headers["RateLimit"] for reply in (put(partner), partner.get(QUOTA_PATH))]

    assert within_a_second(ask) == ['"rps";r=989;t=1', '"rps";r=989;t=1']


def test_a_redis_that_hangs_holds_up_nobody_who_does_not_need_it(
    partner: Caller, service: Service, redis: RedisServer, call: Call
) -> None:
    limit(service, rps=1000)
    with redis.frozen(), ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(put, partner)
        other, longest = call(None), 0.0
        while not waiting.done():
            began = time.monotonic()
            assert other.get("/healthz").status_code == 200
            longest = max(longest, time.monotonic() - began)
        assert waiting.result().status_code == 202
        assert longest < SLOW_SECONDS / 2 < waiting.result().elapsed.total_seconds()
