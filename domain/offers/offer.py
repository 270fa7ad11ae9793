"""What may happen to one offer?"""

from collections.abc import Mapping
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
"""What an event leads to; None: it leaves the status as it is. For those that look at events one by one."""


class Offer(Struct, frozen=True, gc=False):
    """What a decision needs to know of an offer. `version` counts its events; content is told by its digest."""

    status: Status = Status.ABSENT
    version: int = 0
    content_version: int = 0
    """The version that set the present content."""
    content_digest: str = ""
    sent_digest: str | None = None
    """Of the item that brought the present content: the same bytes again say the same."""


ABSENT = Offer()


def evolve(offer: Offer, event: OfferEvent) -> Offer:
    """Accepts any sequence of events: a view of the past may hide what came before."""
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


# Decisions: doing a thing twice gives no event.


def put(offer: Offer, key: OfferKey, content: SentContent) -> list[OfferEvent]:
    """The partner sends the offer: it shall be active with exactly this content."""
    same = content.digest == offer.content_digest
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
            return [] if same else [_updated(content)]
        case Status.PAUSED:
            return [OfferResumed()] if same else [OfferResumed(), _updated(content)]
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


def pause(offer: Offer, cause: PauseCause) -> list[OfferEvent]:
    """Only an active offer can be paused."""
    return [OfferPaused(cause=cause)] if offer.status is Status.ACTIVE else []


def delete(offer: Offer, cause: DeletionCause | None = None) -> list[OfferEvent]:
    """The partner takes the offer down; what was never seen or is deleted already stays as it is."""
    return [OfferDeleted(cause=cause)] if offer.status in {Status.ACTIVE, Status.PAUSED} else []
