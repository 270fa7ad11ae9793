"""Parses one element of a body, and finds the values that may not be stored.

The fast parser handles elements that are clearly valid, which is nearly all of them. It never accepts an invalid value.
It may give up on a valid element; then `strict_json` reads that element.
"""

from typing import Any

import msgspec

from api.parsing.nesting import MAX_NESTING
from api.parsing.strict_json import MAX_NUMBER, Element, read_strictly
from api.validation.known_members import KnownMembers
from domain.offers.slow_numbers import has_slow_numbers


def read_element(text: bytes, known: KnownMembers | None = None) -> Element:
    """Parses an element of which a model knows some members. An integer beyond ±(2^53-1) is valid in unknown ones only.

    Without `known`, such an integer is invalid everywhere. Raises NotJson."""
    try:
        return Element(_parse_fast(text))
    except _NeedsStrictParse:
        return read_strictly(text, known)


class _NeedsStrictParse(Exception):
    """The fast parser cannot decide whether the element is valid."""


def _parse_fast(text: bytes) -> Any:
    # Searching for one byte is ten times as fast as searching for two.
    if text.count(b"[") + text.count(b"{") > MAX_NESTING or (b"\\" in text and b"\\u0000" in text):
        raise _NeedsStrictParse
    if has_slow_numbers(text):
        raise _NeedsStrictParse
    try:
        value = _decode(text)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        raise _NeedsStrictParse from None
    names = _count_names([value])
    # If encoding the value gives the same bytes, no duplicate name was dropped.
    if _encode(value) != text and not _has_at_most_names(names, text):
        raise _NeedsStrictParse
    return value


_decode = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder().encode


def _has_at_most_names(names: int, text: bytes) -> bool:
    """Returns True if the text has at most `names` member names. False means that it may have more."""
    # Without whitespace before colons, the text has at most as many names as it has occurrences of '":'. More
    # occurrences than decoded names mean that a name occurs twice, or that a string contains '":'.
    spaced = b" :" in text or b"\t:" in text or b"\n:" in text or b"\r:" in text
    return not spaced and text.count(b'":') == names


def _count_names(value: dict[str, Any] | list[Any]) -> int:
    """Counts the members at all levels. Raises _NeedsStrictParse for a number that may be out of range or not in the
    stored form (10.0 is stored as 10)."""
    count, values = (len(value), value.values()) if isinstance(value, dict) else (0, value)
    for inner in values:
        kind = type(inner)
        if kind is str:  # the most common type
            continue
        if kind is int:
            if not -MAX_NUMBER <= inner <= MAX_NUMBER:
                raise _NeedsStrictParse
        elif kind is float:
            if not abs(inner) <= MAX_NUMBER or inner.is_integer():
                raise _NeedsStrictParse
        elif kind is dict or kind is list:
            count += _count_names(inner)
    return count
