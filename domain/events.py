"""What can have happened?

These classes are the storage format: fields are added, never renamed, and a changed meaning gets a new `VERSION`
with an upcast from the old one. Facts carry no bookkeeping; who, when and where are told by the commit around them.
"""

from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any, ClassVar, get_args

from msgspec import Raw, Struct

from domain.values import Channel, PartnerSettings, Role

Upcast = Callable[[dict[str, Any]], dict[str, Any]]


class EventStruct(Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """Something that happened, for good."""

    TOPIC: ClassVar[str]
    VERSION: ClassVar[int] = 1
    UPCASTS: ClassVar[Mapping[int, Upcast]] = {}
    """By stored version: how its JSON becomes that of the next version."""
    SECRET: ClassVar[frozenset[str]] = frozenset()
    """Members that are told to nobody, as the JSON names them."""
    TIMES: ClassVar[frozenset[str]] = frozenset()
    """Members that are microseconds since 1970, the same."""


class PauseCause(StrEnum):
    """Why an offer was paused without being named."""

    ABSENT_FROM_SYNCHRONIZE = "absent-from-synchronize"


class DeletionCause(StrEnum):
    """Why an offer was deleted without being named."""

    ABSENT_FROM_FILE = "absent-from-file"


class RefusalReason(StrEnum):
    """Why a purchase is not owed a reward."""

    NOT_ACTIVATED = "not-activated"
    """The customer has never activated the offer."""
    WINDOW_CLOSED = "redemption-window-closed"
    """It lies outside every redemption window of the customer and the offer."""


class OfferCreated(EventStruct, frozen=True):
    TOPIC: ClassVar[str] = "OfferCreated"
    partner: str
    channel: Channel
    merchant_id: str | None
    external_id: str
    content: Raw
    """The JSON text of the content, letter by letter as it was sent."""
    content_digest: str
    sent_digest: str | None = None
    """SHA-256 of the item of the request that brought the content, as it was sent; None where that is not known."""
    images: tuple[str, ...] = ()
    """The digests of the inline images that stand outside the content's text, which has a reference in their place."""


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
    """None: its partner has said so."""


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
    """In the stream of an offer's flights."""

    TOPIC: ClassVar[str] = "FlightScheduled"
    TIMES: ClassVar[frozenset[str]] = frozenset({"startsAt"})
    offer_uid: str
    starts_at: int
    redemption_window_days: int


class OfferActivated(EventStruct, frozen=True):
    """In a stream of its own: a popular offer has millions."""

    TOPIC: ClassVar[str] = "OfferActivated"
    TIMES: ClassVar[frozenset[str]] = frozenset({"activatedAt", "redeemableUntil"})
    customer_id: str
    offer_uid: str
    offer_version: int
    activated_at: int
    redemption_window_days: int
    redeemable_until: int
    late: bool = False
    """The offer was not active any more when the activation was reported."""


class _PurchaseEvent(EventStruct, frozen=True, kw_only=True):
    """What a publisher has told of a purchase, in the stream of its transaction. `amount` is a decimal string;
    what stands last is None where it was not told."""

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
    """The purchase is owed the reward of the offer as it was activated."""

    TOPIC: ClassVar[str] = "OfferRedeemed"
    activation_id: str
    offer_version: int


class RedemptionRefused(_PurchaseEvent, frozen=True, kw_only=True):
    """By what was known then. The same transaction may be judged anew."""

    TOPIC: ClassVar[str] = "RedemptionRefused"
    reason: RefusalReason


class RedemptionReversed(EventStruct, frozen=True):
    """All or a part of the purchase was undone; `amount` is a decimal string in the currency of the redemption."""

    TOPIC: ClassVar[str] = "RedemptionReversed"
    reversal_id: str
    amount: str


OfferEvent = OfferCreated | OfferUpdated | OfferPaused | OfferResumed | OfferDeleted | OfferRestored
PartnerEvent = PartnerRegistered | PartnerSettingsChanged
TokenEvent = TokenCreated | TokenRevoked
FlightEvent = FlightScheduled
ActivationEvent = OfferActivated
RedemptionEvent = OfferRedeemed | RedemptionRefused | RedemptionReversed
Event = OfferEvent | PartnerEvent | TokenEvent | FlightEvent | ActivationEvent | RedemptionEvent

EVENT_TYPES: tuple[type[Event], ...] = get_args(Event)
