"""Which images are in an offer, and can a browser show them?

Those that came inline are sent by the ledger itself; what lies elsewhere is not loaded. Nothing but what begins as a bitmap of
a known kind is sent as an image, however its sender called it.
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
BEGINNING = 64
"""So many characters of base64 say which kind it is."""


class ImageIn(Struct, frozen=True):
    """`url`: where it lies, if it is not inline; `is_shown`: whether a browser can show it."""

    name: str
    url: str | None
    characters: int
    is_shown: bool


def images_in(content: Mapping[str, Any]) -> list[ImageIn]:
    """Of both channels, by their names in the content."""
    found = []
    for name in ASSETS:
        large = _large(content, name)
        text = large.get("content")
        if isinstance(text, str):
            found.append(
                ImageIn(name, None, len(text), kind_of(_decoded(text[: _begins(text) + BEGINNING])) is not None)
            )
        elif isinstance(large.get("url"), str):
            found.append(ImageIn(name, large["url"], 0, is_shown=False))
    return found


def image_in(content: Mapping[str, Any], name: str) -> tuple[str, bytes] | None:
    """The inline image of that name, with its media type, if a browser can show it."""
    text = _large(content, name).get("content")
    data = _decoded(text) if isinstance(text, str) else b""
    kind = kind_of(data)
    return (kind, data) if kind else None


def kind_of(data: bytes) -> str | None:
    """By how it begins."""
    if (data[:4], data[8:12]) == WEBP:
        return "image/webp"
    return next((kind for sign, kind in IMAGE_SIGNATURES.items() if data.startswith(sign)), None)


def _large(content: Any, name: str) -> Mapping[str, Any]:
    for member in ("assets", name, "value", "large"):
        content = content.get(member) if isinstance(content, dict) else None
    return content if isinstance(content, dict) else {}


def _begins(text: str) -> int:
    """Where the data of a data URL (RFC 2397) begin, or those of plain base64."""
    return text.find(",") + 1 if text[:5].lower() == "data:" else 0


def _decoded(text: str) -> bytes:
    """As far as it is base64, which may be broken into lines."""
    data = "".join(unquote(text[_begins(text) :]).split())
    data = data[: len(data) // 4 * 4]
    try:
        return base64.b64decode(data, validate=True)
    except (binascii.Error, ValueError):
        return b""
