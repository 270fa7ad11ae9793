"""Times in requests are those of RFC 3339, with leap seconds and fractions of any length."""

from datetime import UTC, datetime, timedelta

import pytest

from api.validation.times import NOT_A_TIME, read_time

NOON = datetime(2026, 11, 30, 12, tzinfo=UTC)
LAST_MICROSECOND_OF_2016 = datetime(2017, 1, 1, tzinfo=UTC) - timedelta(microseconds=1)


@pytest.mark.parametrize("digits", ["123456", "1234567890", "123456999999999999999999"])
def test_fraction_of_any_length_counts_to_the_microsecond(digits: str) -> None:
    assert read_time(f"2026-11-30T12:00:00.{digits}Z") == NOON + timedelta(microseconds=123456)


@pytest.mark.parametrize("text", ["2016-12-31T23:59:60Z", "2016-12-31t18:59:60.25-05:00", "2017-01-01T05:29:60+05:30"])
def test_leap_second_counts_as_the_last_microsecond_before_it(text: str) -> None:
    assert read_time(text) == LAST_MICROSECOND_OF_2016


@pytest.mark.parametrize(
    "text",
    [
        "2016-12-30T23:59:60Z",
        "2016-12-31T23:58:60Z",
        "2016-12-31T23:59:60+01:00",
        "2016-12-31T23:59:61Z",
        "2026-11-30T12:60:00Z",
        "2026-11-30T12:00:00.Z",
        "9999-12-31T23:59:59-23:59",
        "0000-12-31T23:59:60Z",
    ],
)
def test_other_text_is_refused_with_the_expected_form(text: str) -> None:
    with pytest.raises(ValueError, match=f"^{NOT_A_TIME}$"):
        read_time(text)
