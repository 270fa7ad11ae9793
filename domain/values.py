"""Value types of the ledger: enumerations, keys, stream ids and times."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import lru_cache
from hashlib import sha1
from json.encoder import encode_basestring_ascii
from typing import Any, Literal, NamedTuple
from uuid import UUID

from msgspec import Struct

Clock = Callable[[], datetime]
"""Returns the current time, timezone-aware, in UTC."""

ProgressCallback = Callable[[int, int], None]
"""Receives the number of items done and the total."""

MAX_ID_LENGTH = 256
"""Maximum length of an externalId or merchantId, in characters."""

MAX_REASON_LENGTH = 500
"""Maximum length of the reason of an operator action, in characters."""

_NAMESPACE = UUID("6f0c1d52-7a6b-5d0e-9d5b-0ffe41ed6e40")
# A UUID of version 5 (RFC 9562, section 5.5): SHA-1 of the namespace and a name, with fixed version and variant bits.
_IN_NAMESPACE = sha1(_NAMESPACE.bytes, usedforsecurity=False)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class Channel(StrEnum):
    """Channel of an offer: `custom` takes batches, `merchant` takes single requests and offers files."""

    CUSTOM = "custom"
    MERCHANT = "merchant"


class Source(StrEnum):
    """Interface through which a request arrived; each commit records it."""

    CUSTOM = "custom"
    MERCHANT = "merchant"
    FILE = "file"
    PUBLISHER = "publisher"
    OPERATOR = "operator"
    CONSOLE = "console"
    CLI = "cli"


class EventOrder(StrEnum):
    """Order of a list of events: the oldest or the newest first."""

    ASC = "asc"
    DESC = "desc"


class Status(StrEnum):
    """Life cycle status of an offer."""

    ABSENT = "absent"
    ACTIVE = "active"
    PAUSED = "paused"
    DELETED = "deleted"


class Operation(StrEnum):
    """Operation of a batch. Synchronize pauses active offers that the batch does not name; Insert keeps them."""

    SYNCHRONIZE = "Synchronize"
    INSERT = "Insert"


class MissingFromFile(StrEnum):
    """Partner setting for active offers that an offers file does not name: report or delete them."""

    REPORT = "report"
    DELETE = "delete"


class Role(StrEnum):
    """Role of a token; it decides which requests the token allows."""

    PARTNER = "partner"
    PUBLISHER = "publisher"
    AUDITOR = "auditor"
    OPERATOR = "operator"


class PartnerSettings(Struct, frozen=True, rename="camel"):
    """Settings of a partner, made by an operator. A limit of 0 means no limit.

    Stored events contain this type: new fields need a default."""

    synchronize_per_day: int = 1
    insert_per_hour: int = 1
    rps: int = 10
    """Single requests per second."""
    daily_quota: int | Literal["auto"] = "auto"
    """Single requests per UTC day; `auto` derives it from the number of the partner's offers."""
    missing_from_file: MissingFromFile = MissingFromFile.REPORT
    redemption_window_days: int = 45
    """Redemption window of activations for which no flight is in force."""


class OfferKey(NamedTuple):
    """An offer's identity in its partner's terms; `merchant_id` is None on the custom channel."""

    partner: str
    channel: Channel
    merchant_id: str | None
    external_id: str

    @property
    def offer_uid(self) -> UUID:
        return UUID(bytes=self.offer_uid_bytes)

    @property
    def offer_uid_bytes(self) -> bytes:
        """The bytes of `offer_uid`. A batch needs one for each offer, and an UUID object takes as long as the hash."""
        digest = _offers_digest(self.partner, self.channel).copy()
        merchant_id = "null" if self.merchant_id is None else encode_basestring_ascii(self.merchant_id)
        digest.update(f"{merchant_id}, {encode_basestring_ascii(self.external_id)}]".encode())
        return _uuid_bytes(digest.digest())


class Scope(NamedTuple):
    """The offers of a partner on a channel. Only one run at a time changes them."""

    partner: str
    channel: Channel


class Origin(NamedTuple):
    """The actor of a commit (a token's name), its source, the W3C trace context of its request, and the stated reason."""

    actor: str
    source: Source
    traceparent: str | None = None
    """It has the version 00. It is None if no HTTP request caused the commit."""
    reason: str | None = None
    """Why an operator acted, in the operator's words."""


def no_progress(_done: int, _total: int) -> None:
    """ProgressCallback that ignores progress."""


def partner_uid(name: str) -> UUID:
    return _uid("partner", name)


def flights_uid(offer_uid: UUID) -> UUID:
    """Returns the id of the stream that stores an offer's flights."""
    return _uid("flights", str(offer_uid))


def holds_uid(offer_uid: UUID) -> UUID:
    """Returns the id of the stream that stores the holds and releases of an offer."""
    return _uid("holds", str(offer_uid))


def redemption_uid(transaction_id: str) -> UUID:
    """Returns the id of a transaction's stream. With one stream, a transaction can be redeemed only once."""
    return _uid("redemption", transaction_id)


def token_uid(name: str) -> UUID:
    return _uid("token", name)


def _uid(*parts: str) -> UUID:
    # A JSON array separates the parts unambiguously, whatever characters they contain. `offer_uid_bytes` continues such an
    # array. It is built by hand because a batch needs one for each offer: json.dumps takes longer than the hash.
    text = ", ".join(map(encode_basestring_ascii, parts))
    digest = _IN_NAMESPACE.copy()
    digest.update(f"[{text}]".encode())
    return UUID(bytes=_uuid_bytes(digest.digest()))


@lru_cache(64)
def _offers_digest(partner: str, channel: str) -> Any:
    """Returns the digest of the namespace and the start of the array that names an offer of a partner and a channel."""
    digest = _IN_NAMESPACE.copy()
    digest.update(f'["offer", {encode_basestring_ascii(partner)}, {encode_basestring_ascii(channel)}, '.encode())
    return digest


def _uuid_bytes(sha1_digest: bytes) -> bytes:
    """Returns the bytes of the UUID of version 5 with this digest."""
    uid = bytearray(sha1_digest[:16])
    uid[6] = uid[6] & 0x0F | 0x50
    uid[8] = uid[8] & 0x3F | 0x80
    return bytes(uid)


def to_microseconds(time: datetime) -> int:
    """Returns microseconds since 1970-01-01T00:00:00Z, the form in which the ledger stores every time."""
    return (time - EPOCH) // _MICROSECOND


def from_microseconds(microseconds: int) -> datetime:
    return EPOCH + microseconds * _MICROSECOND


def utc_text(time: datetime) -> str:
    """Returns the time as RFC 3339 text in UTC, with `Z` and six fractional digits."""
    return time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def recorded_text(microseconds: int) -> str:
    """Returns a stored time in the form that replies use."""
    return utc_text(from_microseconds(microseconds))
