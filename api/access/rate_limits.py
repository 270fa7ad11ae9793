"""Rate limits: requests per minute for each token, requests per second for each partner. Both use moving windows."""

import math
import time
from typing import NamedTuple

from limits import RateLimitItem, RateLimitItemPerMinute, RateLimitItemPerSecond
from limits.strategies import MovingWindowRateLimiter

from api.access.rate_limit_storage import REDIS_RETRY_SECONDS, RequestCounts

REFUSED = "refused uploads"
"""The name of this count of a token."""


class RateStatus(NamedTuple):
    """The result of counting a request: how many more are allowed, and the seconds to wait if it exceeded the limit."""

    remaining: int
    seconds_to_wait: int | None


class RequestLimiter:
    """Counts requests against limits. A limit of 0 means no limit."""

    def __init__(self, redis_url: str | None = None, retry_seconds: float = REDIS_RETRY_SECONDS) -> None:
        self._counts = RequestCounts(redis_url, retry_seconds)

    @property
    def may_block(self) -> bool:
        """Returns whether calls use the network, so that they must run in a thread, not on the event loop."""
        return self._counts.uses_redis

    def count_token_request(self, token_name: str, requests_per_minute: int) -> int | None:
        """Counts a request of a token. Returns None if it is within the limit, else the seconds to wait."""
        if not requests_per_minute:
            return None
        limit = RateLimitItemPerMinute(requests_per_minute)
        return self._counts.run(lambda counts: _hit(counts, limit, token_name))

    def count_refused_upload(self, token_name: str, requests_per_minute: int) -> None:
        """Counts a refused upload of a token as a request, and among its refused uploads."""
        if requests_per_minute:
            limit = RateLimitItemPerMinute(requests_per_minute)
            self._counts.run(lambda counts: (counts.hit(limit, token_name), counts.hit(limit, token_name, REFUSED)))

    def seconds_until_upload(self, token_name: str, requests_per_minute: int) -> int | None:
        """Returns None if the refused uploads of a token are within the limit, else the seconds to wait."""
        if not requests_per_minute:
            return None
        limit = RateLimitItemPerMinute(requests_per_minute)
        return self._counts.run(lambda counts: _seconds_to_wait(counts, limit, token_name, REFUSED))

    def count_partner_request(self, partner: str, requests_per_second: int) -> RateStatus:
        """Counts a merchant request of a partner."""
        if not requests_per_second:
            return RateStatus(0, None)
        limit = RateLimitItemPerSecond(requests_per_second)
        return self._counts.run(lambda counts: _hit_with_remaining(counts, limit, partner))

    def remaining_this_second(self, partner: str, requests_per_second: int) -> int:
        if not requests_per_second:
            return 0
        limit = RateLimitItemPerSecond(requests_per_second)
        return self._counts.run(lambda counts: counts.get_window_stats(limit, partner).remaining)

    def close(self) -> None:
        self._counts.close()


def _hit(counts: MovingWindowRateLimiter, limit: RateLimitItem, name: str) -> int | None:
    return None if counts.hit(limit, name) else _seconds_to_reset(counts, limit, name)


def _seconds_to_wait(counts: MovingWindowRateLimiter, limit: RateLimitItem, *names: str) -> int | None:
    return None if counts.test(limit, *names) else _seconds_to_reset(counts, limit, *names)


def _seconds_to_reset(counts: MovingWindowRateLimiter, limit: RateLimitItem, *names: str) -> int:
    reset = counts.get_window_stats(limit, *names).reset_time
    # The limiter uses the clock of this process, also with Redis.
    return max(1, math.ceil(reset - time.time()))


def _hit_with_remaining(counts: MovingWindowRateLimiter, limit: RateLimitItem, name: str) -> RateStatus:
    seconds = _hit(counts, limit, name)
    return RateStatus(counts.get_window_stats(limit, name).remaining if seconds is None else 0, seconds)
