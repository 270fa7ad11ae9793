"""How many single requests a partner may make, at the edges of the numbers and of the day."""

from datetime import UTC, datetime, timedelta
from typing import Literal

import pytest

from domain.refusals import DailyQuotaExceeded
from domain.single_requests.quota import PartnerTerms, Quota, daily_limit, day_of, require_quota, seconds_to_next_day

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def may(limit: int, used: int, *, takes_down: bool) -> bool:
    try:
        require_quota(Quota(limit, used), NOON, takes_down=takes_down)
    except DailyQuotaExceeded:
        return False
    return True


def most(limit: int, *, takes_down: bool) -> int:
    """How many requests are carried out in a day."""
    return next(used for used in range(100_000) if not may(limit, used, takes_down=takes_down))


# The limit


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
def test_the_limit_is_as_set_or_a_fifth_more_than_the_offers(
    setting: int | Literal["auto"], offers: int, limit: int
) -> None:
    terms = PartnerTerms(rps=10, daily_quota=setting, offers=offers)
    assert daily_limit(terms.daily_quota, terms.offers) == limit


@pytest.mark.parametrize("offers", [835, 999, 1001, 33_333])
def test_the_limit_is_a_whole_number_of_at_most_a_fifth_more(offers: int) -> None:
    assert 0 <= 1.2 * offers - daily_limit("auto", offers) < 1


# The quota


@pytest.mark.parametrize("limit", [1, 2, 10, 1000])
def test_as_many_requests_are_carried_out_as_the_limit_says(limit: int) -> None:
    assert most(limit, takes_down=False) == limit


@pytest.mark.parametrize(
    ("limit", "reserve"), [(1, 10), (10, 10), (200, 10), (201, 11), (220, 11), (221, 12), (1000, 50), (20_000, 1000)]
)
def test_take_downs_have_a_reserve_of_ten_or_five_percent(limit: int, reserve: int) -> None:
    assert most(limit, takes_down=True) == limit + reserve


@pytest.mark.parametrize("takes_down", [False, True])
def test_without_a_limit_everything_is_carried_out(takes_down: bool) -> None:  # noqa: FBT001
    assert may(0, 10**9, takes_down=takes_down)


def test_the_refusal_says_the_limit_and_when_to_come_again() -> None:
    with pytest.raises(DailyQuotaExceeded, match="7 per UTC day") as refused:
        require_quota(Quota(7, 7), NOON + timedelta(seconds=0.5), takes_down=False)
    assert refused.value.seconds_to_next_day == 12 * 3600


@pytest.mark.parametrize(
    ("limit", "used", "remaining"), [(10, 0, 10), (10, 9, 1), (10, 10, 0), (10, 15, 0), (0, 9, None)]
)
def test_what_remains_is_told_without_the_reserve(limit: int, used: int, remaining: int | None) -> None:
    assert Quota(limit, used).remaining == remaining


# The day


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
def test_the_next_day_begins_at_midnight(now: str, seconds: int) -> None:
    assert seconds_to_next_day(at(now)) == seconds
    assert day_of(at(now) + timedelta(seconds=seconds)) == day_of(at(now)) + 1


def test_days_are_counted_from_1970() -> None:
    moments = ["1970-01-01T00:00:00", "1970-01-01T23:59:59.999999", "1970-01-02T00:00:00", "2026-11-22T12:00:00"]
    assert [day_of(at(moment)) for moment in moments] == [0, 0, 1, 20_779]
