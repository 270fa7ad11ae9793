"""Validates the usual items of a batch many at a time, and computes the digests of their contents.

Nearly every item is usual: it has known members only, with plain values. msgspec decodes hundreds of them in one call, with
types made from the JSON schema of the models. This takes a third of the time of the strict path.

Speed never decides what is accepted. An item that breaks a rule, or that is unusual in any way, has no digest here: the
strict path then validates it. A property test requires that both paths agree.
"""

import hashlib
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
from msgspec import Raw

from api.intake.batch_schemas import OFFER_CAPS, BatchItem
from api.intake.schema_types import Purpose, list_of
from api.parsing.strict_json import MAX_NUMBER

MAX_USUAL_BYTES = 16 * 1024
"""A longer item is unusual. A shorter one can have neither too many values nor too large ones."""
_MIN_PLAIN_NUMBER = 1e-4
"""Canonical JSON writes smaller numbers differently from msgspec."""

_decode_complete = msgspec.json.Decoder(list_of(BatchItem, Purpose.VALIDATION)).decode
_decode_canonical = msgspec.json.Decoder(list_of(BatchItem, Purpose.CANONICAL_FORM)).decode
_encode = msgspec.json.Encoder().encode
_sha256 = hashlib.sha256


def content_digests(elements: Sequence[Raw], max_bytes: int = MAX_USUAL_BYTES) -> list[str | None]:
    """Returns the digest of each element's content, as `domain.offers.content.digest` computes it.

    None means that the element must be validated strictly. So must an element of more than `max_bytes`."""
    return list(_digests(elements, max_bytes))


def _digests(elements: Sequence[Raw], max_bytes: int) -> Iterator[str | None]:
    if max(map(len, elements), default=0) <= max_bytes and (items := _decode_usual(elements)) is not None:
        yield from map(_content_digest, items)
    elif len(elements) <= 1:
        yield from [None] * len(elements)
    else:
        # One unusual element must not make its neighbours slow.
        middle = len(elements) // 2
        yield from _digests(elements[:middle], max_bytes)
        yield from _digests(elements[middle:], max_bytes)


def _decode_usual(elements: Sequence[Raw]) -> list[Any] | None:
    """Returns the items without null members. None if one is not usual."""
    text = b"[%b]" % b",".join(elements)
    if b"\\" in text and any(escape in text for escape in _UNUSUAL_ESCAPES):
        return None
    try:
        complete = _decode_complete(text)
        # Each member name is followed by a colon, and strings keep theirs. With fewer colons, a repeated name was dropped.
        if _encode(complete).count(b":") != text.count(b":"):
            return None
        items: list[Any] = _decode_canonical(text)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return None
    return items


_UNUSUAL_ESCAPES = (rb"\u0000", rb"\u003a", rb"\u003A")
"""U+0000, which must not be stored, and the colon, which is counted."""


def _content_digest(item: Any) -> str | None:
    content = item.offerData[0] if type(item.offerData) is list else item.offerData
    creatives, events = content.creatives, content.offerEvents
    if len({creative.order for creative in creatives}) < len(creatives):
        return None
    if events is not None:
        if not events:
            content.offerEvents = None
        elif not _are_usual(content, events):
            return None
    return _sha256(_encode(content)).hexdigest()


def _are_usual(content: Any, events: Sequence[Any]) -> bool:
    if len({event.eventId for event in events}) < len(events):
        return False
    if any(getattr(content, cap) is not None for cap in OFFER_CAPS):
        return False
    return all(_is_plain(amount) for event in events for amount in (event.revenue, event.reward))


def _is_plain(amount: float | None) -> bool:
    """True for a number that the ledger stores, and canonical JSON writes, as it was sent."""
    return type(amount) is not float or (_MIN_PLAIN_NUMBER <= amount <= MAX_NUMBER and not amount.is_integer())
