"""How long are the redemption windows of an offer's flights?

A flight is in force from its start until the next one starts.
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
"""Some fifty years of them."""

# State: the days by the start


class Flights(Struct, frozen=True):
    """Days by start."""

    scheduled: Mapping[datetime, int] = {}

    def days_at(self, moment: datetime) -> int | None:
        """Of the flight that is in force then."""
        started = [start for start in self.scheduled if start <= moment]
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
    """The same again is nothing new. Raises WindowDaysOutOfBounds, FlightTaken, TooManyFlights, FlightInThePast."""
    require_days(command.redemption_window_days)
    known = flights.scheduled.get(command.starts_at)
    if known is not None and known != command.redemption_window_days:
        raise FlightConflict
    if known is not None:
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
