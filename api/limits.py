"""Is this caller asking too often? One moving minute per token, one second per partner; kept in this process."""

import math
import time

from limits import RateLimitItem, RateLimitItemPerMinute, RateLimitItemPerSecond
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter


class RequestLimiter:
    def __init__(self) -> None:
        self._limiter = MovingWindowRateLimiter(MemoryStorage())

    def seconds_to_wait(self, token_name: str, requests_per_minute: int) -> int | None:
        """Counts a request; None if it may go on. A limit of 0 is none."""
        return self._hit(RateLimitItemPerMinute(requests_per_minute), token_name) if requests_per_minute else None

    def seconds_to_wait_this_second(self, partner: str, requests_per_second: int) -> int | None:
        """The same for single requests of a partner."""
        return self._hit(RateLimitItemPerSecond(requests_per_second), partner) if requests_per_second else None

    def remaining_this_second(self, partner: str, requests_per_second: int) -> int:
        limit = RateLimitItemPerSecond(requests_per_second)
        return self._limiter.get_window_stats(limit, partner).remaining

    def _hit(self, limit: RateLimitItem, name: str) -> int | None:
        if self._limiter.hit(limit, name):
            return None
        reset = self._limiter.get_window_stats(limit, name).reset_time
        # The limiter keeps the process's own time, as its storage does.
        return max(1, math.ceil(reset - time.time()))
