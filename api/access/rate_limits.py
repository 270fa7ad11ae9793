"""Is this caller asking too often? One moving minute per token, one second per partner."""

import math
import time
from typing import NamedTuple

from limits import RateLimitItem, RateLimitItemPerMinute, RateLimitItemPerSecond
from limits.strategies import MovingWindowRateLimiter

from api.access.rate_limit_storage import REDIS_RETRY_SECONDS, RequestCounts


class RateStatus(NamedTuple):
    """How a request stands with a limit: how many more may follow it; how long to wait if it was one too many."""

    remaining: int
    seconds_to_wait: int | None


class RequestLimiter:
    """A limit of 0 is none."""

    def __init__(self, redis_url: str | None = None, retry_seconds: float = REDIS_RETRY_SECONDS) -> None:
        self._counts = RequestCounts(redis_url, retry_seconds)

    @property
    def may_wait(self) -> bool:
        """Whether it asks another process, so that it is for threads, not for the event loop."""
        return self._counts.asks_redis

    def seconds_to_wait(self, token_name: str, requests_per_minute: int) -> int | None:
        """Counts a request; None if it may go on."""
        if not requests_per_minute:
            return None
        limit = RateLimitItemPerMinute(requests_per_minute)
        return self._counts.ask(lambda counts: _hit(counts, limit, token_name))

    def pace(self, partner: str, requests_per_second: int) -> RateStatus:
        """Counts a single request of a partner."""
        if not requests_per_second:
            return RateStatus(0, None)
        limit = RateLimitItemPerSecond(requests_per_second)
        return self._counts.ask(lambda counts: _pace(counts, limit, partner))

    def remaining_this_second(self, partner: str, requests_per_second: int) -> int:
        if not requests_per_second:
            return 0
        limit = RateLimitItemPerSecond(requests_per_second)
        return self._counts.ask(lambda counts: counts.get_window_stats(limit, partner).remaining)

    def close(self) -> None:
        self._counts.close()


def _hit(counts: MovingWindowRateLimiter, limit: RateLimitItem, name: str) -> int | None:
    if counts.hit(limit, name):
        return None
    reset = counts.get_window_stats(limit, name).reset_time
    # The limiter keeps the processes' own time, wherever it counts.
    return max(1, math.ceil(reset - time.time()))


def _pace(counts: MovingWindowRateLimiter, limit: RateLimitItem, name: str) -> RateStatus:
    seconds = _hit(counts, limit, name)
    return RateStatus(counts.get_window_stats(limit, name).remaining if seconds is None else 0, seconds)
