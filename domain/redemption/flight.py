"""Flights of an offer: periods with their own redemption window days.

A flight is in force from its start until the next flight starts.
"""

from collections.abc import Mapping
from datetime import datetime
from uuid import UUID

from msgspec import Struct

from domain.events import FlightEvent, FlightScheduled
from domain.redemption.window import require_days
from domain.refusals import FlightConflict, FlightInThePast, TooManyFlights
from domain.values import from_microseconds, to_microseconds

MAX_FLIGHTS = 500
"""Enough for about fifty years."""

# State


class Flights(Struct, frozen=True):
    """Flights of an offer; `scheduled` has the redemption window days by the start of the flight."""

    scheduled: Mapping[datetime, int] = {}

    def days_at(self, time: datetime) -> int | None:
        """Returns the redemption window days of the flight in force at a time, or None if there is no such flight."""
        started = [start for start in self.scheduled if start <= time]
        return self.scheduled[max(started)] if started else None


NO_FLIGHTS = Flights()


def evolve(flights: Flights, event: FlightEvent) -> Flights:
    start = from_microseconds(event.starts_at)
    return Flights({**flights.scheduled, start: event.redemption_window_days})


# Decisions


class ScheduleFlight(Struct, frozen=True):
    offer_uid: UUID
    starts_at: datetime
    redemption_window_days: int


def schedule(flights: Flights, command: ScheduleFlight, now: datetime) -> list[FlightEvent]:
    """Returns the event of a new flight; none if the same flight is already scheduled.

    Raises WindowDaysOutOfBounds, FlightConflict, TooManyFlights, FlightInThePast."""
    require_days(command.redemption_window_days)
    scheduled_days = flights.scheduled.get(command.starts_at)
    if scheduled_days is not None and scheduled_days != command.redemption_window_days:
        raise FlightConflict
    if scheduled_days is not None:
        return []
    if len(flights.scheduled) >= MAX_FLIGHTS:
        raise TooManyFlights(MAX_FLIGHTS)
    if command.starts_at < now:
        raise FlightInThePast
    return [
        FlightScheduled(
            offer_uid=str(command.offer_uid),
            starts_at=to_microseconds(command.starts_at),
            redemption_window_days=command.redemption_window_days,
        )
    ]
