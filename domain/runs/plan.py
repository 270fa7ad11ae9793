"""What does a run do? Nothing of it has happened yet."""

from msgspec import Struct

from domain.events import OfferEvent
from domain.offers.images import Image
from domain.runs.run import Outcome
from domain.values import OfferKey


class OfferChange(Struct, frozen=True):
    """The events that one offer gets, in order, after its present version."""

    key: OfferKey
    version: int
    events: list[OfferEvent]
    images: tuple[Image, ...] = ()
    """Those that stand outside of the contents."""


class Plan(Struct, frozen=True):
    changes: list[OfferChange]
    outcome: Outcome
