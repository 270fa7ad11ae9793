"""How a moment is asked for, and how links keep it."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.console.time_travel import evenly_spaced_times, link, parse_time_field
from api.http.problems import Problem
from domain.values import utc_text

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("2026-11-22T12:00", NOON),
        ("2026-11-22T12:00:00", NOON),
        ("2026-11-22T12:00:00Z", NOON),
        ("2026-11-22t12:00:00z", NOON),
        ("2026-11-22T13:00:00+01:00", NOON),
        ("2026-11-22T11:00:00-01:00", NOON),
        ("2026-11-22T12:00:00.000001", NOON + timedelta(microseconds=1)),
        ("2026-11-22", NOON - timedelta(hours=12)),
    ],
)
def test_a_time_without_an_offset_is_one_in_utc(text: str, meant: datetime) -> None:
    assert parse_time_field(text, "asOf") == meant


@pytest.mark.parametrize(
    "text", ["", "now", "2026-11-22T25:00", "2026-13-01", "1969-12-31T00:00", "2026-11-22 12:00", "٢٠٢٦-11-22"]
)
def test_what_is_no_time_is_refused_by_its_name(text: str) -> None:
    with pytest.raises(Problem) as refused:
        parse_time_field(text, "asOf")
    assert str(refused.value.errors[0]).startswith("query.asOf: must be an RFC 3339 time")


@given(st.datetimes(min_value=datetime(1970, 1, 1), timezones=st.just(UTC)))  # noqa: DTZ001 - hypothesis adds the zone
def test_a_link_says_a_moment_to_the_microsecond(moment: datetime) -> None:
    assert parse_time_field(utc_text(moment), "asOf") == moment


def test_of_a_parameter_that_is_given_twice_the_later_one_counts_and_an_empty_one_is_left_out() -> None:
    assert link("/console/offers", {"q": "a b", "asOf": "x"}, {"asOf": None}, {"status": "active"}) == (
        "/console/offers?q=a+b&status=active"
    )
    assert link("/console/offers", {"q": ""}) == "/console/offers"


def test_moments_lie_evenly_from_the_first_to_the_last() -> None:
    hours = list(evenly_spaced_times(NOON, NOON + timedelta(hours=4), 5))
    assert hours == [NOON + timedelta(hours=hour) for hour in range(5)]
    assert list(evenly_spaced_times(NOON, NOON, 3)) == [NOON] * 3
