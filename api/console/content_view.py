"""The content of an offer as pages show it: the first members, the title and the images.

A page takes about as long for a content of a million values, which an older version has stored, as for any other. Such a
content is not decoded."""

from collections.abc import Mapping
from itertools import islice
from json import JSONDecodeError, JSONDecoder
from typing import Any

import msgspec
from msgspec import Raw, Struct

from domain.offers.slow_numbers import decode_content
from domain.offers.value_count import MAX_VALUES, count_values, has_more_values

MEMBERS_SHOWN = 200
"""The most members of an object, and the most changed fields of an event, on a page."""
_START_BYTES = 64 * 1024
"""The part of a content of very many values in which its first members are searched."""


class ShownContent(Struct, frozen=True):
    """The first members of a content, and the number of the others. `values`: of a content that is not decoded, the number
    of its values; the number of its members is then unknown."""

    members: Mapping[str, Any]
    others: int
    values: int | None = None


def shown_content(content: Raw) -> ShownContent:
    text = bytes(content)
    if has_more_values(text, MAX_VALUES):
        return ShownContent(_first_members(text), 0, count_values(text))
    members: dict[str, Any] = decode_content(text)
    return ShownContent(dict(islice(members.items(), MEMBERS_SHOWN)), max(0, len(members) - MEMBERS_SHOWN))


def title_in(content: Raw | None) -> str | None:
    """Returns the display name of an offer, or None if its content has none."""
    if content is None:
        return None
    try:
        titles = _decode_titles(content)
    except msgspec.DecodeError:
        return None
    texts = (
        title for title in (titles.headline, titles.offer_name, titles.name) if bytes(memoryview(title)[:1]) == b'"'
    )
    names: list[str] = [msgspec.json.decode(text) for text in texts]
    return next((name for name in names if name.strip()), None)


def assets_in(content: Raw) -> dict[str, Any]:
    """Returns a content that has no other member than `assets`; none if they have very many values."""
    assets = bytes(_decode_assets(content).assets)
    return {} if has_more_values(assets, MAX_VALUES) else {"assets": decode_content(assets)}


_ABSENT = Raw(b"null")


class _Titles(Struct, rename="camel"):
    headline: Raw = _ABSENT
    offer_name: Raw = _ABSENT
    name: Raw = _ABSENT


class _AssetsOnly(Struct):
    assets: Raw = _ABSENT


_decode_titles = msgspec.json.Decoder(_Titles).decode
_decode_assets = msgspec.json.Decoder(_AssetsOnly).decode
_decode_value = JSONDecoder().raw_decode


def _first_members(content: bytes) -> dict[str, Any]:
    """Returns the members that are complete in the start of an object."""
    text = content[:_START_BYTES].decode(errors="ignore")
    members: dict[str, Any] = {}
    at = _next(text, text.index("{") + 1)
    try:
        while len(members) < MEMBERS_SHOWN:
            name, at = _decode_value(text, at)
            value, at = _decode_value(text, _next(text, _next(text, at) + 1))
            members[name] = value
            at = _next(text, _next(text, at) + 1)
    except JSONDecodeError:
        pass  # the next member continues beyond the start, or there is none
    return members


def _next(text: str, at: int) -> int:
    """Returns the index of the next character that is not white space."""
    return at + len(text[at:]) - len(text[at:].lstrip(" \t\n\r"))
