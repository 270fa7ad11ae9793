"""Which images there are in an offer, and which of them a browser may be given."""

import base64
from typing import Any

import pytest

from api.console.pages.offer_images import image_in, images_in

PIXEL = b"\x89PNG\r\n\x1a\n" + bytes(20)
SIGNS = {
    "image/png": PIXEL,
    "image/jpeg": b"\xff\xd8\xff" + bytes(20),
    "image/gif": b"GIF89a" + bytes(20),
    "image/webp": b"RIFF\x00\x00\x00\x00WEBP" + bytes(20),
}


def offer(large: Any) -> dict[str, Any]:
    return {"assets": {"logo": {"type": "IMAGE", "value": {"large": large}}}}


@pytest.mark.parametrize("kind", SIGNS)
@pytest.mark.parametrize("form", ["data:image/svg+xml;base64,{}", "{}", "DATA:;base64,{}"])
def test_a_bitmap_is_known_by_how_it_begins_whatever_it_is_called(kind: str, form: str) -> None:
    content = offer({"content": form.format(base64.b64encode(SIGNS[kind]).decode())})
    assert image_in(content, "logo") == (kind, SIGNS[kind])
    (image,) = images_in(content)
    assert (image.name, image.url, image.is_shown) == ("logo", None, True)


@pytest.mark.parametrize(
    "sent", ["", "data:image/png;base64,", "<BASE_64>", "PHN2Zz48L3N2Zz4=", "data:,%89PNG", "iVBOR", "ü"]
)
def test_anything_else_is_not_shown(sent: str) -> None:
    assert image_in(offer({"content": sent}), "logo") is None
    assert [image.is_shown for image in images_in(offer({"content": sent}))] == [False]


def test_data_urls_may_be_escaped() -> None:
    escaped = "data:image/png;base64," + base64.b64encode(PIXEL).decode().replace("+", "%2B").replace("=", "%3D")
    assert image_in(offer({"content": escaped}), "logo") == ("image/png", PIXEL)


def test_base64_may_be_broken_into_lines() -> None:
    data = PIXEL * 9
    content = offer({"content": f"data:image/png;base64,\n{base64.encodebytes(data).decode()}"})
    assert image_in(content, "logo") == ("image/png", data)
    assert [image.is_shown for image in images_in(content)] == [True]


def test_what_lies_elsewhere_is_named_and_not_shown() -> None:
    (image,) = images_in(offer({"url": "https://cdn.example/logo.png"}))
    assert (image.url, image.is_shown) == ("https://cdn.example/logo.png", False)


@pytest.mark.parametrize("content", [{}, {"assets": 1}, {"assets": {"logo": []}}, offer("x"), offer({"content": 3})])
def test_an_offer_without_images_has_none(content: dict[str, Any]) -> None:
    assert images_in(content) == []
    assert image_in(content, "logo") is None
    assert image_in(content, "assets") is None
