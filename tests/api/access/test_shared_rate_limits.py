"""Processes with the same Redis share their counts. An outage of Redis fails no request."""

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

from api.access import rate_limit_storage
from api.access.rate_limits import RequestLimiter
from api.service import Service
from api.settings import Settings
from tests.support.calls.merchants import QUOTA_PATH, limit, put
from tests.support.examples import PARTNER
from tests.support.harness import Call, Caller, MakeToken
from tests.support.processes.redis_server import RedisServer
from tests.support.waiting import PATIENCE_SECONDS, wait_until

SHORT_SECONDS, SLOW_SECONDS = 0.25, 2.0
OFFERS = "/api/v1/offers"
LOST, BACK = "is not available", "is available again"
ANOTHER_PROCESS = """
import sys
from api.access.rate_limits import RequestLimiter
limiter = RequestLimiter(sys.argv[1])
print([limiter.count_token_request("feed", 5) for _ in range(3)])
"""

T = TypeVar("T")


@pytest.fixture(autouse=True)
def long_redis_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a busy machine, a Redis that works may answer late."""
    monkeypatch.setattr(rate_limit_storage, "REDIS_TIMEOUT_SECONDS", PATIENCE_SECONDS)


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
    """A limiter that often checks whether Redis is back."""
    with closing(RequestLimiter(redis.url, retry_seconds=0.05)) as limiter:
        yield limiter


def count_allowed(limiter: RequestLimiter, times: int, per_minute: int) -> int:
    """Sends `times` requests. Returns how many are within the limit."""
    return sum(limiter.count_token_request("feed", per_minute) is None for _ in range(times))


def within_a_second(operation: Callable[[], T]) -> T:
    """Repeats an operation until it takes less than a second, because counts per second hold no longer than that."""
    while True:
        start = time.monotonic()
        result = operation()
        if time.monotonic() - start < 0.9:
            return result
        time.sleep(1)


def logged(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [next(word for word in (LOST, BACK) if word in record.message) for record in caplog.records]


def await_logged(caplog: pytest.LogCaptureFixture, *words: str) -> None:
    wait_until(lambda: logged(caplog) == list(words), describe=lambda: logged(caplog))


# Shared counts


def test_two_processes_share_a_count(redis: RedisServer, limiter: RequestLimiter) -> None:
    other = subprocess.run(
        [sys.executable, "-c", ANOTHER_PROCESS, f"{redis.url}/0?socket_timeout={PATIENCE_SECONDS}"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert (other.stdout, other.stderr) == ("[None, None, None]\n", "")
    assert count_allowed(limiter, 4, 5) == 2


def test_refusal_has_the_seconds_to_wait(limiter: RequestLimiter) -> None:
    assert limiter.count_token_request("feed", 1) is None
    assert limiter.count_token_request("feed", 1) in range(50, 61)


def test_partner_requests_are_counted_together(redis: RedisServer, limiter: RequestLimiter) -> None:
    with closing(RequestLimiter(redis.url)) as other:
        limiters = (limiter, other, limiter)
        rates = within_a_second(lambda: [each.count_partner_request("tidepool", 2) for each in limiters])
    assert rates == [(1, None), (0, None), (0, 1)]


def test_shared_count_is_exact_under_concurrency(redis: RedisServer, limiter: RequestLimiter) -> None:
    with closing(RequestLimiter(redis.url)) as other, ThreadPoolExecutor(16) as pool:
        assert sum(pool.map(lambda n: count_allowed((limiter, other)[n % 2], 5, 50), range(32))) == 50


def test_count_of_one_process_is_exact_under_concurrency() -> None:
    limiter = RequestLimiter()
    with ThreadPoolExecutor(16) as pool:
        assert sum(pool.map(lambda _: count_allowed(limiter, 50, 500), range(32))) == 500


def test_redis_keys_have_a_prefix_and_expire(redis: RedisServer, limiter: RequestLimiter) -> None:
    limiter.count_token_request("feed", 5)
    limiter.count_partner_request("tidepool", 5)
    with redis_client.Redis.from_url(redis.url, decode_responses=True) as client:
        keys = list(client.scan_iter())
        assert {key.partition(":")[0] for key in keys} == {"offer-ledger"}
        assert all(0 <= client.ttl(key) <= 60 for key in keys)


def test_redis_may_use_a_unix_socket(tmp_path: Path) -> None:
    path = tmp_path / "r.sock"
    with RedisServer(unixsocket=str(path)).running():
        limiters = [RequestLimiter(f"unix://{path}") for _ in range(2)]
        assert [count_allowed(each, 2, 3) for each in limiters] == [2, 1]


# Outages


def test_process_counts_on_its_own_and_logs_once(
    redis: RedisServer, limiter: RequestLimiter, caplog: pytest.LogCaptureFixture
) -> None:
    assert count_allowed(limiter, 2, 5) == 2
    redis.stop()
    assert count_allowed(limiter, 9, 5) == 5
    assert within_a_second(lambda: [limiter.count_partner_request("tidepool", 2) for _ in range(2)]) == [
        (1, None),
        (0, None),
    ]
    assert logged(caplog) == [LOST]


def test_redis_may_be_unavailable_from_the_start(caplog: pytest.LogCaptureFixture) -> None:
    with closing(RequestLimiter(RedisServer().url)) as limiter:
        assert count_allowed(limiter, 9, 5) == 5
    assert logged(caplog) == [LOST]


def test_redis_counts_again_after_an_outage(
    redis: RedisServer, limiter: RequestLimiter, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(2):
        redis.stop()
        limiter.count_token_request("feed", 100)
        redis.start()
        await_logged(caplog, LOST, BACK)
        with closing(RequestLimiter(redis.url)) as other:
            assert (count_allowed(limiter, 3, 5), count_allowed(other, 3, 5)) == (3, 2)
        caplog.clear()


def test_restart_between_two_requests_is_not_an_outage(
    redis: RedisServer, limiter: RequestLimiter, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(2):
        assert count_allowed(limiter, 5, 3) == 3
        redis.stop()
        redis.start()
    assert logged(caplog) == []


def test_hanging_redis_delays_one_request_only(
    redis: RedisServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(rate_limit_storage, "REDIS_TIMEOUT_SECONDS", SHORT_SECONDS)
    with closing(RequestLimiter(redis.url, retry_seconds=0.05)) as limiter:
        limiter.count_token_request("feed", 5)
        with redis.frozen():
            start = time.monotonic()
            assert count_allowed(limiter, 1, 5) == 1
            assert count_allowed(limiter, 100, 100) == 100
            assert time.monotonic() - start < 100 * SHORT_SECONDS
        await_logged(caplog, LOST, BACK)


@pytest.mark.parametrize(("name", "value"), [("requirepass", "secret"), ("min-replicas-to-write", "1")])
def test_redis_that_refuses_commands_is_unavailable(
    redis: RedisServer, limiter: RequestLimiter, caplog: pytest.LogCaptureFixture, name: str, value: str
) -> None:
    with redis_client.Redis.from_url(redis.url) as client:
        client.config_set(name, value)
        assert count_allowed(limiter, 9, 5) == 5
        time.sleep(0.3)
        assert count_allowed(limiter, 9, 5) == 0
        assert logged(caplog) == [LOST]


def test_invalid_host_name_fails_no_request(caplog: pytest.LogCaptureFixture) -> None:
    with closing(RequestLimiter("redis://no..host")) as limiter:
        assert count_allowed(limiter, 9, 5) == 5
    assert logged(caplog) == [LOST]


# Over HTTP


def statuses(count: int, send: Callable[[], httpx2.Response]) -> list[int]:
    return [send().status_code for _ in range(count)]


def test_calls_over_the_limit_per_minute_are_429(
    redis: RedisServer, call: Call, token: MakeToken, limiter: RequestLimiter
) -> None:
    caller = call(token(name="feed", requests_per_minute=5))
    assert count_allowed(limiter, 3, 5) == 3
    assert statuses(3, lambda: caller.get(OFFERS)) == [200, 200, 429]
    redis.stop()
    assert statuses(6, lambda: caller.get(OFFERS)) == [200] * 5 + [429]


def test_merchant_requests_over_the_rate_are_429(partner: Caller, service: Service, redis: RedisServer) -> None:
    limit(service, rps=1)
    replies = [put(partner) for _ in range(10)]
    refused = [reply for reply in replies if reply.status_code == 429]
    assert {reply.status_code for reply in replies} == {202, 429}
    assert all('"rps";r=0;t=1' in reply.headers["RateLimit"] for reply in refused)
    redis.stop()
    assert {put(partner).status_code for _ in range(10)} == {202, 429}


def test_reported_limits_are_those_of_all_processes(partner: Caller, service: Service, limiter: RequestLimiter) -> None:
    limit(service, rps=1000, daily_quota=0)

    def reported() -> list[str]:
        for _ in range(10):
            limiter.count_partner_request(PARTNER, 1000)
        return [reply.headers["RateLimit"] for reply in (put(partner), partner.get(QUOTA_PATH))]

    assert within_a_second(reported) == ['"rps";r=989;t=1', '"rps";r=989;t=1']


def test_hanging_redis_does_not_delay_other_routes(
    partner: Caller, service: Service, redis: RedisServer, call: Call
) -> None:
    limit(service, rps=1000)
    with redis.frozen(), ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(put, partner)
        other, answered = call(None), 0
        while not waiting.done():
            assert other.get("/healthz").status_code == 200
            answered += 1
        assert waiting.result().status_code == 202
        assert waiting.result().elapsed.total_seconds() > SLOW_SECONDS / 2
        assert answered > 2
