"""Is this caller asking too often? One moving minute per token, kept in this process."""

import math
import time

from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter


class RequestLimiter:
    def __init__(self) -> None:
        self._limiter = MovingWindowRateLimiter(MemoryStorage())

    def seconds_to_wait(self, token_name: str, requests_per_minute: int) -> int | None:
        """Counts a request; None if it may go on. A limit of 0 is none."""
        if requests_per_minute == 0:
            return None
        limit = RateLimitItemPerMinute(requests_per_minute)
        if self._limiter.hit(limit, token_name):
            return None
        reset = self._limiter.get_window_stats(limit, token_name).reset_time
        # The limiter keeps the process's own time, as its storage does.
        return max(1, math.ceil(reset - time.time()))
