"""The life cycle of one offer: state and decisions."""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import assert_never

from msgspec import Struct
from msgspec.structs import replace

from domain.events import (
    DeletionCause,
    OfferCreated,
    OfferDeleted,
    OfferEvent,
    OfferPaused,
    OfferRestored,
    OfferResumed,
    OfferUpdated,
    PauseCause,
)
from domain.offers.content import SentContent
from domain.values import OfferKey, Status

# State

STATUS_AFTER: Mapping[type[OfferEvent], Status | None] = {
    OfferCreated: Status.ACTIVE,
    OfferUpdated: None,
    OfferPaused: Status.PAUSED,
    OfferResumed: Status.ACTIVE,
    OfferDeleted: Status.DELETED,
    OfferRestored: Status.ACTIVE,
}
"""Status after an event; None if the event keeps it. For code without the offer's state."""


class Offer(Struct, frozen=True, gc=False):
    """The state of an offer that decisions need. `version` counts its events; a digest represents the content."""

    status: Status = Status.ABSENT
    version: int = 0
    content_version: int = 0
    """The version that set the current content."""
    content_digest: str = ""
    sent_digest: str | None = None
    """SHA-256 of the sent item that set the current content. An item with the same bytes has the same content."""


ABSENT = Offer()


def without_content(offer: Offer) -> Offer:
    """Returns the state for decisions that compare no content. It needs a third of the memory."""
    return replace(offer, content_digest="", sent_digest=None)


def evolve(offer: Offer, event: OfferEvent) -> Offer:
    """Returns the state after an event. Accepts any sequence of events: a view of the past may omit earlier ones."""
    version = offer.version + 1
    match event:
        case (
            OfferCreated(content_digest=digest, sent_digest=sent)
            | OfferRestored(content_digest=digest, sent_digest=sent)
        ):
            return Offer(Status.ACTIVE, version, version, digest, sent)
        case OfferUpdated(content_digest=digest, sent_digest=sent):
            return Offer(offer.status, version, version, digest, sent)
        case OfferPaused():
            return replace(offer, status=Status.PAUSED, version=version)
        case OfferResumed():
            return replace(offer, status=Status.ACTIVE, version=version)
        case OfferDeleted():
            return replace(offer, status=Status.DELETED, version=version)
        case _:
            assert_never(event)


# Decisions: a repeated request returns no events.


def put(offer: Offer, key: OfferKey, content: SentContent) -> list[OfferEvent]:
    """Returns the events that make the offer active with exactly this content."""
    is_same = content.digest == offer.content_digest
    match offer.status:
        case Status.ABSENT:
            return [
                OfferCreated(
                    partner=key.partner,
                    channel=key.channel,
                    merchant_id=key.merchant_id,
                    external_id=key.external_id,
                    content=content.text,
                    content_digest=content.digest,
                    sent_digest=content.sent_digest,
                    images=content.images,
                )
            ]
        case Status.ACTIVE:
            return [] if is_same else [_updated(content)]
        case Status.PAUSED:
            return [OfferResumed()] if is_same else [OfferResumed(), _updated(content)]
        case Status.DELETED:
            return [
                OfferRestored(
                    content=content.text,
                    content_digest=content.digest,
                    sent_digest=content.sent_digest,
                    images=content.images,
                )
            ]
        case _:
            assert_never(offer.status)


def _updated(content: SentContent) -> OfferUpdated:
    return OfferUpdated(
        content=content.text,
        content_digest=content.digest,
        sent_digest=content.sent_digest,
        images=content.images,
    )


def pause(offer: Offer, cause: PauseCause) -> Sequence[OfferEvent]:
    """Returns the event that pauses an active offer; none for any other status."""
    return _paused(cause) if offer.status is Status.ACTIVE else ()


@cache
def _paused(cause: PauseCause) -> Sequence[OfferEvent]:
    """Returns the same object for all offers: a batch may pause very many."""
    return (OfferPaused(cause=cause),)


def delete(offer: Offer, cause: DeletionCause | None = None) -> list[OfferEvent]:
    """Returns the event that deletes an active or paused offer; none for any other status."""
    return [OfferDeleted(cause=cause)] if offer.status in {Status.ACTIVE, Status.PAUSED} else []
