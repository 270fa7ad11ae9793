"""Where are requests counted? In Redis, by all processes that share it; or in this process, if there is no Redis, and
while it can't be used."""

import logging
from collections.abc import Callable
from threading import Event, Lock, Thread
from typing import TypeVar

from limits import RateLimitItemPerSecond
from limits.storage import MemoryStorage, RedisStorage
from limits.strategies import MovingWindowRateLimiter

KEY_PREFIX = "offer-ledger"
REDIS_TIMEOUT_SECONDS = 0.25
REDIS_RETRY_SECONDS = 5.0

logger = logging.getLogger("offer_ledger")

_T = TypeVar("_T")


class RequestCounts:
    """No request fails because of Redis, nor waits for it long: only who meets the beginning of an outage waits at all,
    and a thread finds out when it is over."""

    def __init__(self, redis_url: str | None, retry_seconds: float) -> None:
        self._own = MovingWindowRateLimiter(MemoryStorage())
        self._redis = _redis(redis_url) if redis_url else None
        self._retry_seconds = retry_seconds
        self._is_out = False
        self._closing = Event()
        self._lock = Lock()

    @property
    def asks_redis(self) -> bool:
        return self._redis is not None and not self._is_out

    def ask(self, question: Callable[[MovingWindowRateLimiter], _T]) -> _T:
        if self._redis and not self._is_out:
            try:
                return question(self._redis)
            except Exception as error:  # noqa: BLE001 - whatever is wrong there, here it can be counted
                self._begin_outage(error)
        # Its storage is not quite made for threads: two of them may start the same timer.
        with self._lock:
            return question(self._own)

    def close(self) -> None:
        self._closing.set()

    def _begin_outage(self, error: Exception) -> None:
        with self._lock:
            if self._is_out:
                return
            self._is_out = True
        logger.warning("Redis can't be used, so this process counts requests by itself: %s", error)
        Thread(target=self._await_redis, daemon=True).start()

    def _await_redis(self) -> None:
        while not self._closing.wait(self._retry_seconds):
            if self._redis_counts():
                self._is_out = False
                logger.warning("Redis can be used again, and counts requests.")
                return

    def _redis_counts(self) -> bool:
        """Asked as a request would: one that answers a ping may yet refuse to write."""
        try:
            assert self._redis  # noqa: S101 - there is no outage without it
            self._redis.hit(RateLimitItemPerSecond(1), "is it back?")
        except Exception:  # noqa: BLE001 - as above
            return False
        return True


def _redis(url: str) -> MovingWindowRateLimiter:
    """Connects when it is asked. What the URL says of timeouts comes before what is said here."""
    storage = RedisStorage(
        url, key_prefix=KEY_PREFIX, socket_connect_timeout=REDIS_TIMEOUT_SECONDS, socket_timeout=REDIS_TIMEOUT_SECONDS
    )
    return MovingWindowRateLimiter(storage)
