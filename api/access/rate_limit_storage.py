"""Counts requests in Redis, shared by all processes, or in this process if Redis is not configured or not available."""

import logging
import time
from collections.abc import Callable
from threading import Event, Lock, Thread
from typing import TypeVar

from limits import RateLimitItemPerSecond
from limits.storage import MemoryStorage, RedisStorage
from limits.strategies import MovingWindowRateLimiter

KEY_PREFIX = "offer-ledger"
REDIS_TIMEOUT_SECONDS = 0.25
REDIS_RETRY_SECONDS = 5.0
CLOCK_STEP_SECONDS = 1.0
"""A clock that is set back by less keeps the counts: the limits apply for that much longer."""

logger = logging.getLogger("offer_ledger")

_T = TypeVar("_T")


class RequestCounts:
    """Request counters that survive an outage of Redis.

    No request fails because of Redis. Only the requests at the start of an outage wait, up to the timeout; then the
    process counts on its own, and a thread checks when Redis is back."""

    def __init__(self, redis_url: str | None, retry_seconds: float) -> None:
        self._own = MovingWindowRateLimiter(MemoryStorage())
        self._redis = _redis(redis_url) if redis_url else None
        self._retry_seconds = retry_seconds
        self._is_out = False
        self._clock_offset = time.time() - time.monotonic()
        self._closing = Event()
        self._lock = Lock()

    @property
    def uses_redis(self) -> bool:
        return self._redis is not None and not self._is_out

    def run(self, operation: Callable[[MovingWindowRateLimiter], _T]) -> _T:
        if self._redis and not self._is_out:
            try:
                return operation(self._redis)
            except Exception as error:  # noqa: BLE001 - after any failure, this process can count
                self._start_outage(error)
        # The in-memory storage is not fully thread-safe: two threads may start the same timer.
        with self._lock:
            self._forget_future_requests()
            return operation(self._own)

    def close(self) -> None:
        self._closing.set()

    def _forget_future_requests(self) -> None:
        """Forgets all requests if the clock was set back.

        Requests counted before that are in the future: they would use up the limit until the clock has passed them. The
        library counts by `time.time()`, so the injected clock plays no part. Redis forgets a window by its own clock."""
        clock_offset = time.time() - time.monotonic()
        if clock_offset < self._clock_offset - CLOCK_STEP_SECONDS:
            self._own.storage.reset()
        self._clock_offset = clock_offset

    def _start_outage(self, error: Exception) -> None:
        with self._lock:
            if self._is_out:
                return
            self._is_out = True
        logger.warning("Redis is not available; this process counts requests on its own until it is back: %s", error)
        Thread(target=self._await_redis, daemon=True).start()

    def _await_redis(self) -> None:
        while not self._closing.wait(self._retry_seconds):
            if self._can_count():
                self._is_out = False
                logger.warning("Redis is available again and counts requests")
                return

    def _can_count(self) -> bool:
        """Tests Redis with a write, as a request would: a Redis that answers a ping may still refuse writes."""
        try:
            assert self._redis
            self._redis.hit(RateLimitItemPerSecond(1), "availability-probe")
        except Exception:  # noqa: BLE001 - any failure means that the outage goes on
            return False
        return True


def _redis(url: str) -> MovingWindowRateLimiter:
    """Returns a limiter that connects with its first operation. Timeouts in the URL override the defaults here."""
    storage = RedisStorage(
        url, key_prefix=KEY_PREFIX, socket_connect_timeout=REDIS_TIMEOUT_SECONDS, socket_timeout=REDIS_TIMEOUT_SECONDS
    )
    return MovingWindowRateLimiter(storage)
