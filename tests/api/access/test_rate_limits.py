"""Requests counted in this process, while its clock is set."""

import time
from collections.abc import Iterator
from contextlib import closing

import pytest

from api.access.rate_limits import RequestLimiter


@pytest.fixture
def limiter() -> Iterator[RequestLimiter]:
    with closing(RequestLimiter()) as limiter:
        yield limiter


def set_clock(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    """Sets the clock of this process ahead of the monotonic clock, compared with its start."""
    right = time.time() - time.monotonic()
    monkeypatch.setattr(time, "time", lambda: time.monotonic() + right + seconds)


def test_requests_counted_ahead_of_the_clock_are_forgotten(
    limiter: RequestLimiter, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as ahead:
        set_clock(ahead, 7200)
        assert [limiter.count_token_request("feed", 2) for _ in range(2)] == [None, None]
        assert limiter.count_partner_request("tidepool", 1).seconds_to_wait is None
    assert limiter.count_token_request("feed", 2) is None
    assert limiter.count_partner_request("tidepool", 1).seconds_to_wait is None
    assert limiter.count_token_request("feed", 2) is None
    assert limiter.count_token_request("feed", 2) is not None
