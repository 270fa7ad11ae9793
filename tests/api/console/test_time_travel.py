"""Parsing requested times, and links that keep the viewed state."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.console.time_travel import evenly_spaced_times, link, parse_time_field
from api.http.problems import Problem
from domain.values import utc_text

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("2026-11-22T12:00", NOON),
        ("2026-11-22T12:00:00", NOON),
        ("2026-11-22 12:00", NOON),
        ("2026-11-22T12:00:00Z", NOON),
        ("2026-11-22t12:00:00z", NOON),
        ("2026-11-22T13:00:00+01:00", NOON),
        ("2026-11-22T11:00:00-01:00", NOON),
        ("2026-11-22T12:00:00.000001", NOON + timedelta(microseconds=1)),
        ("2026-11-22", NOON - timedelta(hours=12)),
    ],
)
def test_time_without_offset_means_utc(text: str, time: datetime) -> None:
    assert parse_time_field(text, "asOf") == time


@pytest.mark.parametrize(
    "text", ["", "now", "2026-11-22T25:00", "2026-13-01", "1969-12-31T00:00", "2026-11-22_12:00", "٢٠٢٦-11-22"]
)
def test_invalid_time_is_refused_with_the_parameter_name(text: str) -> None:
    with pytest.raises(Problem) as refused:
        parse_time_field(text, "asOf")
    assert str(refused.value.errors[0]).startswith("query.asOf: must be an RFC 3339 time")


@given(st.datetimes(min_value=datetime(1970, 1, 1), timezones=st.just(UTC)))  # noqa: DTZ001 - hypothesis adds the zone
def test_link_keeps_a_time_to_the_microsecond(time: datetime) -> None:
    assert parse_time_field(utc_text(time), "asOf") == time


def test_link_keeps_the_last_value_and_omits_empty_ones() -> None:
    assert link("/console/offers", {"q": "a b", "asOf": "x"}, {"asOf": None}, {"status": "active"}) == (
        "/console/offers?q=a+b&status=active"
    )
    assert link("/console/offers", {"q": ""}) == "/console/offers"


def test_times_are_evenly_spaced_and_include_both_ends() -> None:
    hours = list(evenly_spaced_times(NOON, NOON + timedelta(hours=4), 5))
    assert hours == [NOON + timedelta(hours=hour) for hour in range(5)]
    assert list(evenly_spaced_times(NOON, NOON, 3)) == [NOON] * 3
