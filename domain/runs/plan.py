"""Plan of a run: the changes and the outcome that it is going to store."""

from collections.abc import Sequence

from msgspec import Struct

from domain.events import OfferEvent
from domain.offers.images import Image
from domain.runs.run import Outcome
from domain.values import OfferKey


class OfferChange(Struct, frozen=True, gc=False):
    """Events to append to one offer, in order, after its current version."""

    key: OfferKey
    version: int
    events: Sequence[OfferEvent]
    images: tuple[Image, ...] = ()
    """Inline images of the contents, which are stored separately."""


class Plan(Struct, frozen=True):
    changes: list[OfferChange]
    outcome: Outcome
