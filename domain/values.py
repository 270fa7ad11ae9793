"""What identifies things in the ledger, and what words are its values?"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from hashlib import sha1
from json.encoder import encode_basestring_ascii
from typing import Literal, NamedTuple
from uuid import UUID

from msgspec import Struct

Clock = Callable[[], datetime]
"""Tells the present moment, timezone-aware, in UTC."""

ProgressCallback = Callable[[int, int], None]
"""Is told how much of how much is done."""

MAX_ID_LENGTH = 256
"""Of an externalId or merchantId, in characters."""

_NAMESPACE = UUID("6f0c1d52-7a6b-5d0e-9d5b-0ffe41ed6e40")
# A UUID of version 5 (RFC 9562, section 5.5): SHA-1 of the namespace and a name, with the bits that say what it is.
_IN_NAMESPACE = sha1(_NAMESPACE.bytes, usedforsecurity=False)
_UUID_5_BITS, _UUID_OPEN_BITS = 5 << 76 | 0b10 << 62, ~(0xF << 76 | 0b11 << 62)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class Channel(StrEnum):
    """How an offer arrives."""

    CUSTOM = "custom"
    MERCHANT = "merchant"


class Source(StrEnum):
    """By which door a commit came in."""

    CUSTOM = "custom"
    MERCHANT = "merchant"
    FILE = "file"
    PUBLISHER = "publisher"
    CONSOLE = "console"
    CLI = "cli"


class Status(StrEnum):
    """Where an offer stands in its life."""

    ABSENT = "absent"
    ACTIVE = "active"
    PAUSED = "paused"
    DELETED = "deleted"


class Operation(StrEnum):
    """What a batch does to the offers that it does not name."""

    SYNCHRONIZE = "Synchronize"
    INSERT = "Insert"


class MissingFromFile(StrEnum):
    """What becomes of an active offer that an offers file does not name."""

    REPORT = "report"
    DELETE = "delete"


class Role(StrEnum):
    """What a token may do."""

    PARTNER = "partner"
    PUBLISHER = "publisher"
    AUDITOR = "auditor"
    OPERATOR = "operator"


class PartnerSettings(Struct, frozen=True, rename="camel"):
    """What an operator sets for a partner. A limit of 0 is none. In stored events: fields are added, with a default."""

    synchronize_per_day: int = 1
    insert_per_hour: int = 1
    rps: int = 10
    """Single requests per second."""
    daily_quota: int | Literal["auto"] = "auto"
    """Single requests per UTC day; auto: by how many offers the partner has."""
    missing_from_file: MissingFromFile = MissingFromFile.REPORT
    redemption_window_days: int = 45
    """Where no flight is in force."""


class OfferKey(NamedTuple):
    """An offer's identity as its partner knows it; `merchant_id` is None on the custom channel."""

    partner: str
    channel: Channel
    merchant_id: str | None
    external_id: str

    @property
    def offer_uid(self) -> UUID:
        return _uid("offer", *self)


class Scope(NamedTuple):
    """The offers of a partner on a channel: only one run at a time changes them."""

    partner: str
    channel: Channel


class Origin(NamedTuple):
    """Who is at work, and by which door."""

    actor: str
    source: Source


def no_progress(_done: int, _total: int) -> None:
    """The Watch of those who only want the result."""


def partner_uid(name: str) -> UUID:
    return _uid("partner", name)


def flights_uid(offer_uid: UUID) -> UUID:
    """Of the stream of an offer's flights."""
    return _uid("flights", str(offer_uid))


def redemption_uid(transaction_id: str) -> UUID:
    """Of the stream of a transaction: it can be redeemed once."""
    return _uid("redemption", transaction_id)


def token_uid(name: str) -> UUID:
    return _uid("token", name)


def _uid(*parts: str | None) -> UUID:
    # A JSON array keeps the parts apart whatever characters they hold. Written by hand, as there is one for each offer of a batch:
    # json.dumps takes longer than all the rest, and uuid5 as long again as what it does.
    text = ", ".join(["null" if part is None else encode_basestring_ascii(part) for part in parts])
    digest = _IN_NAMESPACE.copy()
    digest.update(f"[{text}]".encode())
    return UUID(int=int.from_bytes(digest.digest()[:16]) & _UUID_OPEN_BITS | _UUID_5_BITS)


def to_microseconds(moment: datetime) -> int:
    """Microseconds since 1970-01-01T00:00:00Z: how the ledger stores every time."""
    return (moment - EPOCH) // _MICROSECOND


def from_microseconds(microseconds: int) -> datetime:
    return EPOCH + microseconds * _MICROSECOND


def utc_text(moment: datetime) -> str:
    """RFC 3339 in UTC with `Z` and six fractional digits."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def recorded_text(microseconds: int) -> str:
    """A stored time as the service shows it."""
    return utc_text(from_microseconds(microseconds))
