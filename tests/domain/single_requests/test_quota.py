"""Tests of the daily quota of single requests, at the edges of numbers and days."""

from datetime import UTC, datetime, timedelta
from typing import Literal

import pytest

from domain.refusals import DailyQuotaExceeded
from domain.single_requests.quota import PartnerTerms, Quota, daily_limit, day_of, require_quota, seconds_to_next_day

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def is_allowed(limit: int, used: int, *, is_deletion: bool) -> bool:
    try:
        require_quota(Quota(limit, used), NOON, is_deletion=is_deletion)
    except DailyQuotaExceeded:
        return False
    return True


def max_requests(limit: int, *, is_deletion: bool) -> int:
    """Returns the number of requests that the quota allows in a day."""
    return next(used for used in range(100_000) if not is_allowed(limit, used, is_deletion=is_deletion))


# Limits


@pytest.mark.parametrize(
    ("setting", "offers", "limit"),
    [
        ("auto", 0, 1000),
        ("auto", 833, 1000),
        ("auto", 834, 1000),
        ("auto", 835, 1002),
        ("auto", 1000, 1200),
        ("auto", 100_000, 120_000),
        (0, 100_000, 0),
        (1, 100_000, 1),
        (5000, 0, 5000),
    ],
)
def test_limit_is_as_set_or_120_percent_of_the_offers(setting: int | Literal["auto"], offers: int, limit: int) -> None:
    terms = PartnerTerms(rps=10, daily_quota=setting, offers=offers)
    assert daily_limit(terms.daily_quota, terms.offers) == limit


@pytest.mark.parametrize("offers", [835, 999, 1001, 33_333])
def test_auto_limit_is_rounded_down(offers: int) -> None:
    assert 0 <= 1.2 * offers - daily_limit("auto", offers) < 1


# Quota


@pytest.mark.parametrize("limit", [1, 2, 10, 1000])
def test_quota_allows_as_many_requests_as_its_limit(limit: int) -> None:
    assert max_requests(limit, is_deletion=False) == limit


@pytest.mark.parametrize(
    ("limit", "reserve"), [(1, 10), (10, 10), (200, 10), (201, 11), (220, 11), (221, 12), (1000, 50), (20_000, 1000)]
)
def test_deletions_have_a_reserve_of_ten_or_five_percent(limit: int, reserve: int) -> None:
    assert max_requests(limit, is_deletion=True) == limit + reserve


@pytest.mark.parametrize("is_deletion", [False, True])
def test_quota_without_a_limit_allows_everything(is_deletion: bool) -> None:
    assert is_allowed(0, 10**9, is_deletion=is_deletion)


def test_refusal_has_the_limit_and_the_seconds_to_wait() -> None:
    with pytest.raises(DailyQuotaExceeded, match="7 per UTC day") as refused:
        require_quota(Quota(7, 7), NOON + timedelta(seconds=0.5), is_deletion=False)
    assert refused.value.seconds_to_next_day == 12 * 3600


@pytest.mark.parametrize(
    ("limit", "used", "remaining"), [(10, 0, 10), (10, 9, 1), (10, 10, 0), (10, 15, 0), (0, 9, None)]
)
def test_remaining_excludes_the_reserve(limit: int, used: int, remaining: int | None) -> None:
    assert Quota(limit, used).remaining == remaining


# Days


@pytest.mark.parametrize(
    ("now", "seconds"),
    [
        ("2026-11-22T00:00:00", 86_400),
        ("2026-11-22T00:00:00.000001", 86_400),
        ("2026-11-22T23:59:59", 1),
        ("2026-11-22T23:59:59.999999", 1),
        ("2026-12-31T12:00:00", 43_200),
        ("2028-02-28T23:00:00", 3600),
    ],
)
def test_next_day_starts_at_utc_midnight(now: str, seconds: int) -> None:
    assert seconds_to_next_day(at(now)) == seconds
    assert day_of(at(now) + timedelta(seconds=seconds)) == day_of(at(now)) + 1


def test_days_are_counted_from_1970_01_01() -> None:
    times = ["1970-01-01T00:00:00", "1970-01-01T23:59:59.999999", "1970-01-02T00:00:00", "2026-11-22T12:00:00"]
    assert [day_of(at(time)) for time in times] == [0, 0, 1, 20_779]
