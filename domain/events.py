"""What can have happened?

These classes are the storage format: fields are added, never renamed, and a changed meaning gets a new `VERSION`
with an upcast from the old one. Facts carry no bookkeeping; who, when and where are told by the commit around them.
"""

from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any, ClassVar

from msgspec import Struct

from domain.content import Content
from domain.values import Channel, Role

Upcast = Callable[[dict[str, Any]], dict[str, Any]]


class Fact(Struct, frozen=True, kw_only=True, rename="camel"):
    """Something that happened, for good."""

    TOPIC: ClassVar[str]
    VERSION: ClassVar[int] = 1
    UPCASTS: ClassVar[Mapping[int, Upcast]] = {}
    """By stored version: how its JSON becomes that of the next version."""


class PauseCause(StrEnum):
    """Why an offer was paused without being named."""

    ABSENT_FROM_SYNCHRONIZE = "absent-from-synchronize"


class OfferCreated(Fact, frozen=True):
    TOPIC: ClassVar[str] = "OfferCreated"
    partner: str
    channel: Channel
    merchant_id: str | None
    external_id: str
    content: Content
    content_digest: str


class OfferUpdated(Fact, frozen=True):
    TOPIC: ClassVar[str] = "OfferUpdated"
    content: Content
    content_digest: str


class OfferPaused(Fact, frozen=True):
    TOPIC: ClassVar[str] = "OfferPaused"
    cause: PauseCause


class OfferResumed(Fact, frozen=True):
    TOPIC: ClassVar[str] = "OfferResumed"


class OfferDeleted(Fact, frozen=True):
    TOPIC: ClassVar[str] = "OfferDeleted"


class OfferRestored(Fact, frozen=True):
    TOPIC: ClassVar[str] = "OfferRestored"
    content: Content
    content_digest: str


class PartnerRegistered(Fact, frozen=True):
    TOPIC: ClassVar[str] = "PartnerRegistered"
    partner: str
    synchronize_per_day: int
    insert_per_hour: int


class PartnerSettingsChanged(Fact, frozen=True):
    TOPIC: ClassVar[str] = "PartnerSettingsChanged"
    synchronize_per_day: int
    insert_per_hour: int


class TokenCreated(Fact, frozen=True):
    TOPIC: ClassVar[str] = "TokenCreated"
    name: str
    role: Role
    partner: str | None
    secret_sha256: str
    requests_per_minute: int
    expires_at: int | None
    """Microseconds since 1970."""


class TokenRevoked(Fact, frozen=True):
    TOPIC: ClassVar[str] = "TokenRevoked"


OfferEvent = OfferCreated | OfferUpdated | OfferPaused | OfferResumed | OfferDeleted | OfferRestored
PartnerEvent = PartnerRegistered | PartnerSettingsChanged
TokenEvent = TokenCreated | TokenRevoked
Event = OfferEvent | PartnerEvent | TokenEvent

EVENT_TYPES: tuple[type[Event], ...] = (
    OfferCreated,
    OfferUpdated,
    OfferPaused,
    OfferResumed,
    OfferDeleted,
    OfferRestored,
    PartnerRegistered,
    PartnerSettingsChanged,
    TokenCreated,
    TokenRevoked,
)
