"""Tests of redemption windows: bounds, length and half-open ends."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.redemption.window import MAX_DAYS, MIN_DAYS, redemption_window
from domain.refusals import WindowDaysOutOfBounds

NOW = datetime(2026, 11, 22, 12, 30, tzinfo=UTC)
INSTANT = timedelta(microseconds=1)


@pytest.mark.parametrize("days", [MIN_DAYS, 31, MAX_DAYS])
def test_window_contains_its_start_but_not_its_end(days: int) -> None:
    window = redemption_window(NOW, days)
    assert [window.contains(NOW + offset) for offset in (-INSTANT, timedelta(), timedelta(days=days) - INSTANT)] == [
        False,
        True,
        True,
    ]
    assert not window.contains(NOW + timedelta(days=days))


@pytest.mark.parametrize("days", [-1, 0, MIN_DAYS - 1, MAX_DAYS + 1, 10**9])
def test_window_rejects_days_out_of_bounds(days: int) -> None:
    with pytest.raises(WindowDaysOutOfBounds, match="30 to 45 days"):
        redemption_window(NOW, days)


def test_window_days_have_24_hours_across_a_leap_day() -> None:
    window = redemption_window(datetime(2028, 2, 28, 23, 59, 59, 999_999, tzinfo=UTC), 30)
    assert window.redeemable_until == datetime(2028, 3, 29, 23, 59, 59, 999_999, tzinfo=UTC)


@given(st.datetimes(datetime(1970, 1, 1), datetime(9000, 1, 1)), st.integers(MIN_DAYS, MAX_DAYS))  # noqa: DTZ001
def test_window_is_as_long_as_its_days(activated_at: datetime, days: int) -> None:
    window = redemption_window(activated_at.replace(tzinfo=UTC), days)
    assert window.redeemable_until - window.activated_at == timedelta(days=days)
