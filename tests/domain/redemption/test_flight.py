"""Tests of flights: scheduling, and the flight in force at a time."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import reduce

import pytest

from domain.events import FlightScheduled
from domain.redemption import flight
from domain.redemption.flight import NO_FLIGHTS, Flights, ScheduleFlight
from domain.refusals import FlightConflict, FlightInThePast, TooManyFlights, WindowDaysOutOfBounds
from domain.values import to_microseconds
from tests.support.examples import KEY

NOW = datetime(2026, 11, 22, 12, 30, tzinfo=UTC)
INSTANT = timedelta(microseconds=1)


def scheduled(starts_at: datetime, days: int) -> FlightScheduled:
    return FlightScheduled(
        offer_uid=str(KEY.offer_uid), starts_at=to_microseconds(starts_at), redemption_window_days=days
    )


def given_flights(events: Sequence[FlightScheduled]) -> Flights:
    return reduce(flight.evolve, events, NO_FLIGHTS)


def when(starts_at: datetime, days: int, *events: FlightScheduled) -> Sequence[FlightScheduled]:
    return flight.schedule(given_flights(events), ScheduleFlight(KEY.offer_uid, starts_at, days), NOW)


@pytest.mark.parametrize("days", [30, 45])
def test_flight_can_start_now_or_later(days: int) -> None:
    for start in (NOW, NOW + timedelta(days=400)):
        assert when(start, days) == [scheduled(start, days)]


def test_flight_can_not_start_in_the_past() -> None:
    with pytest.raises(FlightInThePast):
        when(NOW - INSTANT, 30)


def test_repeated_flight_produces_no_event_even_after_its_start() -> None:
    for start in (NOW - timedelta(days=1), NOW + timedelta(days=1)):
        assert when(start, 30, scheduled(start, 30)) == []


def test_flight_conflicts_with_other_days_at_the_same_start() -> None:
    with pytest.raises(FlightConflict):
        when(NOW, 31, scheduled(NOW, 30))


@pytest.mark.parametrize("days", [29, 46])
def test_flight_rejects_window_days_out_of_bounds(days: int) -> None:
    with pytest.raises(WindowDaysOutOfBounds):
        when(NOW, days)


def test_flight_is_in_force_until_the_next_one_starts() -> None:
    later = NOW + timedelta(days=1)
    flights = given_flights([scheduled(later, 31), scheduled(NOW, 30)])
    times = [NOW - INSTANT, NOW, later - INSTANT, later, later + timedelta(days=4000)]
    assert [flights.days_at(time) for time in times] == [None, 30, 30, 31, 31]


def test_offer_has_at_most_500_flights_and_accepts_their_repeats() -> None:
    events = [scheduled(NOW + timedelta(days=number), 30) for number in range(500)]
    assert when(NOW + timedelta(days=499), 30, *events[:499]) == events[499:]
    assert when(NOW, 30, *events) == []
    with pytest.raises(TooManyFlights, match="at most 500 flights"):
        when(NOW + INSTANT, 30, *events)
