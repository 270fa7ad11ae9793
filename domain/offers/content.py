"""When do two offers say the same, and where do they differ?

Same content = same canonical JSON (RFC 8785). A member that is null is the same as an absent one, an empty
`offerEvents` the same as none, and neither key order nor the spelling of a number makes a difference.
"""

import hashlib
import json
import re
from collections.abc import Iterator
from itertools import zip_longest
from typing import Any, NamedTuple

import msgspec
from msgspec import Raw, Struct

Content = dict[str, Any]
"""An offer's JSON object. Integral numbers are `int`, none beyond ±(2^53-1); the others are finite `float`s."""


class SentContent(Struct, frozen=True, gc=False):
    """A content as it came: its JSON text, the digest of what it says, and that of the item which brought it, if it is to
    be known again by that."""

    text: Raw
    digest: str
    sent_digest: str | None = None
    images: tuple[str, ...] = ()
    """The digests of the inline images that the text refers to."""


class FieldChange(NamedTuple):
    """One place where two JSON documents differ; `field` is a JSON pointer (RFC 6901), None stands for absent."""

    field: str
    before: Any
    after: Any


# Same content


def digest(content: Content, text: bytes = b"null") -> str:
    """SHA-256, as hex, of the canonical form of the normal form: equal exactly when the contents are the same. `text`: some JSON
    that the content is in, if it is at hand."""
    return hashlib.sha256(canonical(normal_form(content, text))).hexdigest()


def normal_form(content: Content, text: bytes = b"null") -> Content:
    """The content without what says nothing: null members everywhere, and an empty list of events."""
    # Most have none, and it is found out a hundred times as quickly that there is no such word.
    kept = _without_nulls(content) if b"null" in text else content
    if kept.get("offerEvents") == []:
        return {name: member for name, member in kept.items() if name != "offerEvents"}
    return kept


def _without_nulls(value: Any) -> Any:
    # Done for every value of every offer: types are compared, not asked for, and strings and numbers need no call.
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
    """The value in RFC 8785's spelling, for numbers as Content has them."""
    text = _spell(value)
    if (b"e-" in text and _TINY_NUMBER.search(text)) or (not text.isascii() and _BEYOND_U_FFFF.search(text)):
        return "".join(_spelt(value)).encode()
    return text


# msgspec's spelling is that of the RFC but for tiny numbers, and names beyond U+FFFF, which sort by UTF-16 there.
_spell = msgspec.json.Encoder(order="sorted").encode
_TINY_NUMBER = re.compile(b"[0-9]e-[0-9]")
_BEYOND_U_FFFF = re.compile(b"[\xf0-\xf4]")


def _spelt(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for index, name in enumerate(sorted(value, key=lambda name: name.encode("utf-16-be"))):
            yield f"{',' if index else '{'}{json.dumps(name, ensure_ascii=False)}:"
            yield from _spelt(value[name])
        yield "}" if value else "{}"
    elif isinstance(value, list):
        for index, element in enumerate(value):
            yield "," if index else "["
            yield from _spelt(element)
        yield "]" if value else "[]"
    elif isinstance(value, float):
        yield _number(value)
    else:
        yield json.dumps(value, ensure_ascii=False)


def _number(value: float) -> str:
    """As ECMAScript spells it: plain down to 0.000001, below that with an exponent of no leading zeros."""
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
    """Not even null."""


_ABSENT = _Absent()


def changed_fields(before: Content | None, after: Content | None, at: str = "") -> list[FieldChange]:
    """Every place where two documents differ, as deep as both have the same shape, in the order of their members.

    `at` is the JSON pointer of the documents themselves; one that is not there at all differs as a whole."""
    if before is None or after is None:
        return [] if before is after else [FieldChange(at, before, after)]
    return list(_differences(normal_form(before), normal_form(after), at))


def _differences(before: Any, after: Any, at: str) -> Iterator[FieldChange]:
    if isinstance(before, dict) and isinstance(after, dict):
        for name in before | after:
            one, other = before.get(name, _ABSENT), after.get(name, _ABSENT)
            if type(one) in _PLAIN and type(one) is type(other) and one == other:
                continue  # as most members of most changes: their paths are not needed
            yield from _differences(one, other, f"{at}/{_escaped(name)}")
    elif isinstance(before, list) and isinstance(after, list):
        for index, (one, other) in enumerate(zip_longest(before, after, fillvalue=_ABSENT)):
            yield from _differences(one, other, f"{at}/{index}")
    elif not _same_scalar(before, after):
        yield FieldChange(at, _shown(before), _shown(after))


def _same_scalar(before: Any, after: Any) -> bool:
    # In Python True == 1; in JSON they are different values.
    return bool(before == after) and isinstance(before, bool) == isinstance(after, bool)


def _shown(value: Any) -> Any:
    return None if value is _ABSENT else value


def _escaped(name: str) -> str:
    return name.replace("~", "~0").replace("/", "~1")
