"""Stores inline images separately from an offer's JSON text, each image once.

`extract` replaces the JSON string literal of an image by a reference: an object with the literal's digest. All other
bytes of the text stay the same. `restore` needs the list of extracted images, because a partner may send an object that
looks like a reference.
"""

import hashlib
import re
from collections.abc import Iterable

import msgspec
from msgspec import Raw, Struct

MIN_LITERAL_BYTES = 256
"""Shorter literals stay in the text: a reference would hardly save any space."""


class Image(Struct, frozen=True):
    """An image: its JSON string literal with the quotes, exactly as sent, and the SHA-256 of the literal as hex."""

    digest: str
    literal: bytes


def extract(text: bytes) -> tuple[bytes, tuple[Image, ...]]:
    """Returns the text with references instead of images, and the images.

    `text` is an offer as JSON without duplicate names. A text of any other shape has no images."""
    images = []
    for literal in dict.fromkeys(_contents(text)):
        image = Image(hashlib.sha256(literal).hexdigest(), literal)
        reference = _reference(image)
        if _is_unambiguous(literal) and reference not in text:
            text = _with_references(text, literal, reference)
            images.append(image)
    return text, tuple(images)


def restore(text: bytes, images: Iterable[Image]) -> bytes:
    """Returns the original text. `images` must be exactly the images that `extract` returned for it."""
    # Any order works: references do not overlap, and a literal contains none because its quotes are escaped.
    for image in images:
        text = text.replace(_reference(image), image.literal)
    return text


def _reference(image: Image) -> bytes:
    return b'{"imageDigest":"%s"}' % image.digest.encode()


# The places of images


class _Large(Struct):
    content: Raw = Raw(b"null")


class _Value(Struct):
    large: _Large


class _Asset(Struct):
    value: _Value


class _Assets(Struct, rename="camel"):
    logo: _Asset
    large_rectangle: _Asset


class _Offer(Struct):
    assets: _Assets


_decode = msgspec.json.Decoder(_Offer).decode


def _contents(text: bytes) -> list[bytes]:
    """Returns the string literals at the image members that are long enough to be stored separately."""
    try:
        assets = _decode(text).assets
    except msgspec.DecodeError:
        return []
    contents = (bytes(asset.value.large.content) for asset in (assets.logo, assets.large_rectangle))
    return [content for content in contents if content.startswith(b'"') and len(content) > MIN_LITERAL_BYTES]


# A literal's bytes can occur in a text in three ways: as the literal itself; from an escaped quote inside a string to
# the end of that string; from the closing quote of one string to the opening quote of the next. Only the first counts.


def _is_unambiguous(literal: bytes) -> bool:
    """Returns False if the bytes could be the text between two strings. No image starts like that."""
    return literal[1:2] not in _AFTER_A_STRING


_AFTER_A_STRING = frozenset({b" ", b",", b":", b"]", b"}"})


def _with_references(text: bytes, literal: bytes, reference: bytes) -> bytes:
    pieces, done = [], 0
    at = text.find(literal)
    while at >= 0:
        end = at + len(literal)
        # After a backslash, the match starts at an escaped quote. It can't start at a closing quote: `_is_unambiguous`.
        if text[at - 1 : at] != b"\\" and not _colon_follows(text, end):
            pieces += [text[done:at], reference]
            done = end
        at = text.find(literal, end)
    return b"".join([*pieces, text[done:]])


# Before a colon, the literal is a member name, which must stay a string.
_colon_follows = re.compile(rb"[ \t\n\r]*+:").match
