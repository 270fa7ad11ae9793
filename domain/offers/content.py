"""Comparison of offer contents: digests of equal contents, and the fields in which two contents differ.

Two contents are the same if their canonical JSON (RFC 8785) is the same. A null member equals an absent one, and an
empty `offerEvents` equals none. Key order and the spelling of numbers make no difference. Integers beyond ±(2^53-1), for
which the RFC has no form, are compared by their digits.
"""

import hashlib
import json
import re
from collections.abc import Iterable, Iterator
from itertools import zip_longest
from typing import Any, NamedTuple

import msgspec
from msgspec import Raw, Struct

Content = dict[str, Any]
"""An offer's JSON object. Integral numbers are `int`, in unknown members of up to 40 digits; others are finite `float`."""


class SentContent(Struct, frozen=True, gc=False):
    """A content as sent: its JSON text and the digest of its canonical form.

    `sent_digest` is the SHA-256 of the request's item, if the service recognises repeated items by it."""

    text: Raw
    digest: str
    sent_digest: str | None = None
    images: tuple[str, ...] = ()
    """Digests of the inline images to which the text has references."""


class FieldChange(NamedTuple):
    """A difference between two JSON documents; `field` is a JSON pointer (RFC 6901), None means absent."""

    field: str
    before: Any
    after: Any


# Same content


def digest(content: Content, text: bytes = b"null") -> str:
    """Returns the SHA-256, as hex, of the content's canonical normal form.

    Two contents have the same digest if and only if they are the same.
    `text`: JSON text that contains the content, if available; it makes `normal_form` faster."""
    return hashlib.sha256(canonical(normal_form(content, text))).hexdigest()


def normal_form(content: Content, text: bytes = b"null") -> Content:
    """Returns the content without null members, at any depth, and without an empty `offerEvents`.

    `text`: JSON text that contains the content; the default is correct for any content."""
    # Most contents have no null. Searching the text for the word is a hundred times as fast as searching the members.
    kept = _without_nulls(content) if b"null" in text else content
    if kept.get("offerEvents") == []:
        return {name: member for name, member in kept.items() if name != "offerEvents"}
    return kept


def _without_nulls(value: Any) -> Any:
    # Hot path, for every value of every offer: exact type checks, no isinstance, no call for strings and numbers.
    if type(value) is dict:
        return {
            name: member if type(member) in _PLAIN else _without_nulls(member)
            for name, member in value.items()
            if member is not None
        }
    if type(value) is list:
        return [element if type(element) in _PLAIN else _without_nulls(element) for element in value]
    return value


_PLAIN = frozenset({str, int, float, bool})


def canonical(value: Any) -> bytes:
    """Returns the value as canonical JSON (RFC 8785). Numbers must be as in `Content`."""
    # msgspec sorts names that are sorted already in quadratic time: 10,000 of them take 100 ms.
    text = _encode_in_order(_sorted(value)) if _has_large_object(value) else _encode(value)
    if (b"e-" in text and _TINY_NUMBER.search(text)) or (not text.isascii() and _BEYOND_U_FFFF.search(text)):
        return "".join(_canonical_pieces(value)).encode()
    return text


# msgspec's JSON differs from the RFC only in tiny numbers, and in names beyond U+FFFF, which the RFC sorts by UTF-16.
_encode = msgspec.json.Encoder(order="sorted").encode
_encode_in_order = msgspec.json.Encoder().encode
_LARGE_OBJECT = 200


def _has_large_object(value: Any) -> bool:
    if type(value) is dict:
        inner: Iterable[Any] = value.values()
        if len(value) > _LARGE_OBJECT:
            return True
    elif type(value) is list:
        inner = value
    else:
        return False
    return any(_has_large_object(part) for part in inner if type(part) not in _PLAIN)


def _sorted(value: Any) -> Any:
    if type(value) is dict:
        return {name: _sorted(value[name]) for name in sorted(value)}
    return [_sorted(element) for element in value] if type(value) is list else value


_TINY_NUMBER = re.compile(b"[0-9]e-[0-9]")
_BEYOND_U_FFFF = re.compile(b"[\xf0-\xf4]")


def _canonical_pieces(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for index, name in enumerate(sorted(value, key=lambda name: name.encode("utf-16-be"))):
            yield f"{',' if index else '{'}{json.dumps(name, ensure_ascii=False)}:"
            yield from _canonical_pieces(value[name])
        yield "}" if value else "{}"
    elif isinstance(value, list):
        for index, element in enumerate(value):
            yield "," if index else "["
            yield from _canonical_pieces(element)
        yield "]" if value else "[]"
    elif isinstance(value, float):
        yield _number(value)
    else:
        yield json.dumps(value, ensure_ascii=False)


def _number(value: float) -> str:
    """Returns the number as in ECMAScript: decimal down to 0.000001, below with an exponent without leading zeros."""
    digits, _, exponent = repr(value).partition("e-")
    if not exponent:
        return digits
    if int(exponent) > _LAST_PLAIN_EXPONENT:
        return f"{digits}e-{int(exponent)}"
    sign, figures = ("-", digits[1:]) if digits.startswith("-") else ("", digits)
    return f"{sign}0.{'0' * (int(exponent) - 1)}{figures.replace('.', '')}"


_LAST_PLAIN_EXPONENT = 6


# Differences


class _Absent:
    """Marks a member that is absent, in contrast to null."""


_ABSENT = _Absent()


def changed_fields(before: Content | None, after: Content | None, pointer: str = "") -> list[FieldChange]:
    """Returns the differences between two documents in the order of their members.

    Objects and arrays are compared member by member if both sides have one. If only one document exists, the result is
    a single change of the whole document. `pointer` is the JSON pointer of the documents themselves."""
    if before is None or after is None:
        return [] if before is after else [FieldChange(pointer, before, after)]
    return list(_differences(normal_form(before), normal_form(after), pointer))


def _differences(before: Any, after: Any, pointer: str) -> Iterator[FieldChange]:
    if isinstance(before, dict) and isinstance(after, dict):
        for name in before | after:
            one, other = before.get(name, _ABSENT), after.get(name, _ABSENT)
            if type(one) in _PLAIN and type(one) is type(other) and one == other:
                continue  # true for most members; skips building their pointers
            yield from _differences(one, other, f"{pointer}/{_escape(name)}")
    elif isinstance(before, list) and isinstance(after, list):
        for index, (one, other) in enumerate(zip_longest(before, after, fillvalue=_ABSENT)):
            yield from _differences(one, other, f"{pointer}/{index}")
    elif not _same_scalar(before, after):
        yield FieldChange(pointer, _none_if_absent(before), _none_if_absent(after))


def _same_scalar(before: Any, after: Any) -> bool:
    # In Python True == 1; in JSON they are different values.
    return bool(before == after) and isinstance(before, bool) == isinstance(after, bool)


def _none_if_absent(value: Any) -> Any:
    return None if value is _ABSENT else value


def _escape(name: str) -> str:
    return name.replace("~", "~0").replace("/", "~1")
