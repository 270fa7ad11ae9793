"""Single requests, each about one offer, and the decisions about them."""

from datetime import datetime
from enum import StrEnum
from typing import assert_never
from uuid import UUID

from msgspec import Struct

from domain.events import OfferCreated, OfferDeleted, OfferEvent, OfferPaused, OfferRestored, OfferResumed, OfferUpdated
from domain.offers import offer as offers
from domain.offers.content import SentContent
from domain.offers.images import Image
from domain.offers.offer import Offer
from domain.single_requests.precondition import Precondition
from domain.values import OfferKey, Origin, Status


class TraceOutcome(StrEnum):
    """Effect of a request on its offer."""

    CREATED = "created"
    UPDATED = "updated"
    UNCHANGED = "unchanged"
    DELETED = "deleted"
    RESTORED = "restored"
    UNKNOWN = "unknown"


class Put(Struct, frozen=True):
    """Makes the offer active with this content. `images` are its inline images, which are stored separately."""

    content: SentContent
    images: tuple[Image, ...] = ()
    warnings: tuple[str, ...] = ()


class Delete(Struct, frozen=True):
    """Deletes the offer."""


class SingleRequest(Struct, frozen=True):
    """A request for an action on one offer, by the offer's partner.

    It is refused unless the offer's state satisfies its precondition."""

    trace_id: str
    key: OfferKey
    origin: Origin
    action: Put | Delete
    precondition: Precondition | None = None

    @property
    def partner(self) -> str:
        return self.key.partner

    @property
    def is_deletion(self) -> bool:
        return isinstance(self.action, Delete)


class CountRefusal(Struct, frozen=True):
    """Counts a request that was refused before it named a valid action.

    It uses the partner's quota and changes no offer."""

    partner: str
    is_deletion: bool


SingleRequestCommand = SingleRequest | CountRefusal


class Trace(Struct, frozen=True):
    """Record of an executed request. `version` is that of the offer afterwards, 0 if the offer does not exist."""

    trace_id: str
    partner: str
    offer_uid: UUID
    outcome: TraceOutcome
    version: int
    warnings: tuple[str, ...]
    actor: str
    accepted_at: datetime
    traceparent: str | None = None


def decide(offer: Offer, key: OfferKey, action: Put | Delete) -> tuple[list[OfferEvent], TraceOutcome]:
    """Returns the events and the outcome of an action. A repeated action has no events."""
    match action:
        case Put(content=content):
            events = offers.put(offer, key, content)
        case Delete():
            events = offers.delete(offer)
        case _:
            assert_never(action)
    if not events:
        is_unknown = offer.status is Status.ABSENT
        return events, TraceOutcome.UNKNOWN if is_unknown else TraceOutcome.UNCHANGED
    return events, _outcome(events[0])


def _outcome(event: OfferEvent) -> TraceOutcome:
    match event:
        case OfferCreated():
            return TraceOutcome.CREATED
        case OfferUpdated() | OfferResumed() | OfferPaused():
            return TraceOutcome.UPDATED
        case OfferRestored():
            return TraceOutcome.RESTORED
        case OfferDeleted():
            return TraceOutcome.DELETED
        case _:
            assert_never(event)
