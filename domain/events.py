"""Event types that the ledger stores.

These classes are the storage format: fields are added, never renamed, and a changed meaning gets a new `VERSION`
with an upcast from the old one. Events carry no bookkeeping; their commit records the actor, the time and the source.
"""

from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any, ClassVar, get_args

from msgspec import Raw, Struct

from domain.values import Channel, PartnerSettings, Role

Upcast = Callable[[dict[str, Any]], dict[str, Any]]


class EventStruct(Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True, gc=False):
    """Base class of all events."""

    TOPIC: ClassVar[str]
    VERSION: ClassVar[int] = 1
    UPCASTS: ClassVar[Mapping[int, Upcast]] = {}
    """By stored version: the function that converts its JSON to that of the next version."""
    SECRET: ClassVar[frozenset[str]] = frozenset()
    """JSON names of members that no reply, export or page shows."""
    TIMES: ClassVar[frozenset[str]] = frozenset()
    """JSON names of members that are microseconds since 1970."""


class PauseCause(StrEnum):
    """Reason why the service paused an offer that the request did not name."""

    ABSENT_FROM_SYNCHRONIZE = "absent-from-synchronize"
    UNDO = "undo"
    """An operator has undone a run that had resumed or restored the offer."""


class DeletionCause(StrEnum):
    """Reason why the service deleted an offer that the request did not name."""

    ABSENT_FROM_FILE = "absent-from-file"
    UNDO = "undo"
    """An operator has undone a run that had created or restored the offer."""


class RefusalReason(StrEnum):
    """Reason why a purchase is not eligible for a reward."""

    NOT_ACTIVATED = "not-activated"
    """The customer has never activated the offer."""
    WINDOW_CLOSED = "redemption-window-closed"
    """The purchase is outside every redemption window that the customer has for the offer."""


class OfferCreated(EventStruct, frozen=True):
    TOPIC: ClassVar[str] = "OfferCreated"
    partner: str
    channel: Channel
    merchant_id: str | None
    external_id: str
    content: Raw
    """The JSON text of the content, byte for byte as sent."""
    content_digest: str
    sent_digest: str | None = None
    """SHA-256 of the request's item that contained the content, as sent; None if unknown."""
    images: tuple[str, ...] = ()
    """Digests of the inline images that are stored separately; the content's text has references in their place."""


class OfferUpdated(EventStruct, frozen=True):
    TOPIC: ClassVar[str] = "OfferUpdated"
    content: Raw
    content_digest: str
    sent_digest: str | None = None
    images: tuple[str, ...] = ()


class OfferPaused(EventStruct, frozen=True):
    TOPIC: ClassVar[str] = "OfferPaused"
    cause: PauseCause


class OfferResumed(EventStruct, frozen=True):
    TOPIC: ClassVar[str] = "OfferResumed"


class OfferDeleted(EventStruct, frozen=True):
    TOPIC: ClassVar[str] = "OfferDeleted"
    cause: DeletionCause | None = None
    """None if the partner requested the deletion."""


class OfferRestored(EventStruct, frozen=True):
    TOPIC: ClassVar[str] = "OfferRestored"
    content: Raw
    content_digest: str
    sent_digest: str | None = None
    images: tuple[str, ...] = ()


class PartnerRegistered(EventStruct, frozen=True):
    TOPIC: ClassVar[str] = "PartnerRegistered"
    partner: str
    settings: PartnerSettings


class PartnerSettingsChanged(EventStruct, frozen=True):
    TOPIC: ClassVar[str] = "PartnerSettingsChanged"
    settings: PartnerSettings


class TokenCreated(EventStruct, frozen=True):
    TOPIC: ClassVar[str] = "TokenCreated"
    SECRET: ClassVar[frozenset[str]] = frozenset({"secretSha256"})
    TIMES: ClassVar[frozenset[str]] = frozenset({"expiresAt"})
    name: str
    role: Role
    partner: str | None
    secret_sha256: str
    requests_per_minute: int
    expires_at: int | None


class TokenRevoked(EventStruct, frozen=True):
    TOPIC: ClassVar[str] = "TokenRevoked"


class FlightScheduled(EventStruct, frozen=True):
    """A flight was scheduled. Stored in the stream of the offer's flights."""

    TOPIC: ClassVar[str] = "FlightScheduled"
    TIMES: ClassVar[frozenset[str]] = frozenset({"startsAt"})
    offer_uid: str
    starts_at: int
    redemption_window_days: int


class OfferHeld(EventStruct, frozen=True):
    """An operator stopped new activations of an offer. Stored in the stream of the offer's holds."""

    TOPIC: ClassVar[str] = "OfferHeld"
    TIMES: ClassVar[frozenset[str]] = frozenset({"until"})
    offer_uid: str
    until: int | None = None
    """The hold ends at this time, without an event. None if only a release ends it."""


class OfferReleased(EventStruct, frozen=True):
    """An operator ended the hold of an offer. Stored in the stream of the offer's holds."""

    TOPIC: ClassVar[str] = "OfferReleased"
    offer_uid: str


class OfferActivated(EventStruct, frozen=True):
    """A customer activated an offer. Each activation has its own stream: a popular offer has millions of them."""

    TOPIC: ClassVar[str] = "OfferActivated"
    TIMES: ClassVar[frozenset[str]] = frozenset({"activatedAt", "redeemableUntil"})
    customer_id: str
    offer_uid: str
    offer_version: int
    activated_at: int
    redemption_window_days: int
    redeemable_until: int
    late: bool = False
    """True if the offer was no longer active when the activation was reported."""


class _PurchaseEvent(EventStruct, frozen=True, kw_only=True):
    """A purchase as reported by a publisher, in the stream of its transaction.

    `amount` is a decimal string. Optional members are None if the publisher did not send them."""

    TIMES: ClassVar[frozenset[str]] = frozenset({"transactedAt"})
    transaction_id: str
    customer_id: str
    offer_uid: str
    amount: str
    currency: str
    transacted_at: int
    partner_store_id: str | None = None
    partner_merchant_name: str | None = None
    card_type: str | None = None
    card_last_four: str | None = None


class OfferRedeemed(_PurchaseEvent, frozen=True, kw_only=True):
    """The purchase is eligible for the reward of the offer version that the customer activated."""

    TOPIC: ClassVar[str] = "OfferRedeemed"
    activation_id: str
    offer_version: int


class RedemptionRefused(_PurchaseEvent, frozen=True, kw_only=True):
    """The purchase was refused given the activations known so far. A later request may redeem the same transaction."""

    TOPIC: ClassVar[str] = "RedemptionRefused"
    reason: RefusalReason


class RedemptionReversed(EventStruct, frozen=True):
    """All or part of a redemption was reversed; `amount` is a decimal string in the currency of the redemption."""

    TOPIC: ClassVar[str] = "RedemptionReversed"
    reversal_id: str
    amount: str


OfferEvent = OfferCreated | OfferUpdated | OfferPaused | OfferResumed | OfferDeleted | OfferRestored
PartnerEvent = PartnerRegistered | PartnerSettingsChanged
TokenEvent = TokenCreated | TokenRevoked
FlightEvent = FlightScheduled
HoldEvent = OfferHeld | OfferReleased
ActivationEvent = OfferActivated
RedemptionEvent = OfferRedeemed | RedemptionRefused | RedemptionReversed
Event = OfferEvent | PartnerEvent | TokenEvent | FlightEvent | HoldEvent | ActivationEvent | RedemptionEvent

EVENT_TYPES: tuple[type[Event], ...] = get_args(Event)
