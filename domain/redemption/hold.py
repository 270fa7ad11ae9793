"""Holds of an offer by an operator: state and decisions.

A hold stops new activations. It is recorded in its own stream beside the offer, so it changes neither the version of the offer
nor the status that the partner set. (Contract, section 9.)
"""

from datetime import datetime
from typing import assert_never
from uuid import UUID

from msgspec import Struct

from domain.events import HoldEvent, OfferHeld, OfferReleased
from domain.refusals import HoldEndsInThePast
from domain.values import from_microseconds, to_microseconds

# State


class Hold(Struct, frozen=True):
    """A stop of new activations. It ends at `until`, without an event; None means that only a release ends it."""

    until: datetime | None = None

    def is_in_force(self, time: datetime) -> bool:
        """Returns whether the hold has not ended at a time. `time` is not before the hold was recorded."""
        return self.until is None or time < self.until


def evolve(_: Hold | None, event: HoldEvent) -> Hold | None:
    """Returns the newest hold; None if it was released."""
    match event:
        case OfferHeld(until=until):
            return Hold(None if until is None else from_microseconds(until))
        case OfferReleased():
            return None
        case _:
            assert_never(event)


# Decisions: a repeated request returns no events.


class HoldOffer(Struct, frozen=True):
    """Command: stop new activations of an offer, until a time or until its release."""

    offer_uid: UUID
    until: datetime | None = None


class ReleaseOffer(Struct, frozen=True):
    """Command: end the hold of an offer."""

    offer_uid: UUID


HoldCommand = HoldOffer | ReleaseOffer


def decide_hold(hold: Hold | None, command: HoldCommand, now: datetime) -> list[HoldEvent]:
    """Returns the event of a command. There is none if the offer is already held until the same time, or not held.

    Raises HoldEndsInThePast."""
    in_force = hold if hold and hold.is_in_force(now) else None
    match command:
        case HoldOffer(offer_uid=offer_uid, until=until):
            if until is not None and until <= now:
                raise HoldEndsInThePast
            if in_force == Hold(until):
                return []
            return [OfferHeld(offer_uid=str(offer_uid), until=None if until is None else to_microseconds(until))]
        case ReleaseOffer(offer_uid=offer_uid):
            return [OfferReleased(offer_uid=str(offer_uid))] if in_force else []
        case _:
            assert_never(command)
