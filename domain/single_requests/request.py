"""What becomes of a request about one offer?"""

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
from domain.values import OfferKey, Origin, Status


class TraceOutcome(StrEnum):
    """What the request did to the offer."""

    CREATED = "created"
    UPDATED = "updated"
    UNCHANGED = "unchanged"
    DELETED = "deleted"
    RESTORED = "restored"
    UNKNOWN = "unknown"


class Put(Struct, frozen=True):
    """The offer shall be there with this content; `images` are those that stand outside of it."""

    content: SentContent
    images: tuple[Image, ...] = ()
    warnings: tuple[str, ...] = ()


class Delete(Struct, frozen=True):
    """The offer shall be gone."""


class SingleRequest(Struct, frozen=True):
    """A request about one offer, by its partner. Without `action` it was refused, and only counts."""

    trace_id: str
    key: OfferKey
    origin: Origin
    action: Put | Delete | None
    takes_down: bool = False
    traceparent: str | None = None
    """W3C trace context, as it was sent."""


class Trace(Struct, frozen=True):
    """A request that was carried out; `version` is that of the offer after it, 0 for one that was never seen."""

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
    """Doing a thing twice gives no event."""
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
