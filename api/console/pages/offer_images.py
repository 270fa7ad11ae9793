"""The images of an offer.

The console sends inline images itself, and never loads images at URLs. It sends only data that starts like a bitmap of
a known type, whatever media type the partner has declared.
"""

import base64
import binascii
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

from msgspec import Struct

from api.intake.merchant_schemas import ASSETS

IMAGE_SIGNATURES = {
    b"\x89PNG\r\n\x1a\n": "image/png",
    b"\xff\xd8\xff": "image/jpeg",
    b"GIF87a": "image/gif",
    b"GIF89a": "image/gif",
}
WEBP = (b"RIFF", b"WEBP")
SIGNATURE_LENGTH = 64
"""Characters of base64 that are decoded to detect the type."""


class ImageIn(Struct, frozen=True):
    """An image of an offer.

    `url` is None for an inline image. `is_shown` is True if the console can send it to the browser."""

    name: str
    url: str | None
    characters: int
    is_shown: bool


def images_in(content: Mapping[str, Any]) -> list[ImageIn]:
    """Returns the images of an offer's content, of both channels, under their names there."""
    images = []
    for name in ASSETS:
        large = _large(content, name)
        text = large.get("content")
        if isinstance(text, str):
            start = _decode(text[: _data_start(text) + SIGNATURE_LENGTH])
            images.append(ImageIn(name, None, len(text), media_type_of(start) is not None))
        elif isinstance(large.get("url"), str):
            images.append(ImageIn(name, large["url"], 0, is_shown=False))
    return images


def image_in(content: Mapping[str, Any], name: str) -> tuple[str, bytes] | None:
    """Returns the media type and the bytes of an inline image, or None if it is not a known bitmap."""
    text = _large(content, name).get("content")
    data = _decode(text) if isinstance(text, str) else b""
    media_type = media_type_of(data)
    return (media_type, data) if media_type else None


def media_type_of(data: bytes) -> str | None:
    """Returns the media type that the first bytes belong to, or None."""
    if (data[:4], data[8:12]) == WEBP:
        return "image/webp"
    return next((name for signature, name in IMAGE_SIGNATURES.items() if data.startswith(signature)), None)


def _large(content: Any, name: str) -> Mapping[str, Any]:
    for member in ("assets", name, "value", "large"):
        content = content.get(member) if isinstance(content, dict) else None
    return content if isinstance(content, dict) else {}


def _data_start(text: str) -> int:
    """Returns the index of the first character of the data, in a data URL (RFC 2397) or in plain base64."""
    return text.find(",") + 1 if text[:5].lower() == "data:" else 0


def _decode(text: str) -> bytes:
    """Decodes base64, which can have line breaks; invalid text gives no bytes."""
    data = "".join(unquote(text[_data_start(text) :]).split())
    data = data[: len(data) // 4 * 4]
    try:
        return base64.b64decode(data, validate=True)
    except (binascii.Error, ValueError):
        return b""
