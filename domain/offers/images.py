"""Where is the image in an offer's text? Inline images stand outside of the text, each once; the rest is kept to the letter.

What stands outside is the JSON string literal as it was sent, and in its place the text has an object with its digest.
Only who knows which images were taken out can put them back: an offer may show such an object of its own.
"""

import hashlib
import re
from collections.abc import Iterable

import msgspec
from msgspec import Raw, Struct

MIN_LITERAL_BYTES = 256
"""A shorter literal is left where it is: its reference would be hardly shorter."""


class Image(Struct, frozen=True):
    """The content of an image: the JSON string literal with its quotes, exactly as sent, and its SHA-256 as hex."""

    digest: str
    literal: bytes


def extract(text: bytes) -> tuple[bytes, tuple[Image, ...]]:
    """The text with references in place of its images, and these.

    `text` is an offer as JSON without names given twice; one of another shape has no images."""
    images = []
    for literal in dict.fromkeys(_contents(text)):
        image = Image(hashlib.sha256(literal).hexdigest(), literal)
        reference = _reference(image)
        if _can_be_told_apart(literal) and reference not in text:
            text = _with_references(text, literal, reference)
            images.append(image)
    return text, tuple(images)


def restore(text: bytes, images: Iterable[Image]) -> bytes:
    """The text as it was before exactly these images were taken out of it."""
    # References neither overlap nor stand in a literal, whose quotes are escaped: the order makes no difference.
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
    """The string literals in the places of images that are long enough to stand outside."""
    try:
        assets = _decode(text).assets
    except msgspec.DecodeError:
        return []
    found = (bytes(asset.value.large.content) for asset in (assets.logo, assets.large_rectangle))
    return [content for content in found if content.startswith(b'"') and len(content) > MIN_LITERAL_BYTES]


# A literal's bytes may occur in a text in three ways: as the literal; from an escaped quote within a string to its end;
# and from the end of a string over what stands between to the next one. Only the first is the literal.


def _can_be_told_apart(literal: bytes) -> bool:
    """Whether what it says can't be what stands between two strings; no image begins like that."""
    return literal[1:2] not in _AFTER_A_STRING


_AFTER_A_STRING = frozenset({b" ", b",", b":", b"]", b"}"})


def _with_references(text: bytes, literal: bytes, reference: bytes) -> bytes:
    pieces, done = [], 0
    at = text.find(literal)
    while at >= 0:
        end = at + len(literal)
        # After a backslash it begins within a string, as the end of a string it can't be.
        if text[at - 1 : at] != b"\\" and not _colon_follows(text, end):
            pieces += [text[done:at], reference]
            done = end
        at = text.find(literal, end)
    return b"".join([*pieces, text[done:]])


# Then the literal is the name of a member, which has to be a string.
_colon_follows = re.compile(rb"[ \t\n\r]*+:").match
