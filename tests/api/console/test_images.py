"""Finding the images of an offer, and detecting which of them the console sends."""

import base64
from typing import Any

import pytest

from api.console.pages.offer_images import image_in, images_in

PIXEL = b"\x89PNG\r\n\x1a\n" + bytes(20)
BITMAPS = {
    "image/png": PIXEL,
    "image/jpeg": b"\xff\xd8\xff" + bytes(20),
    "image/gif": b"GIF89a" + bytes(20),
    "image/webp": b"RIFF\x00\x00\x00\x00WEBP" + bytes(20),
}


def offer(large: Any) -> dict[str, Any]:
    return {"assets": {"logo": {"type": "IMAGE", "value": {"large": large}}}}


@pytest.mark.parametrize("kind", BITMAPS)
@pytest.mark.parametrize("form", ["data:image/svg+xml;base64,{}", "{}", "DATA:;base64,{}"])
def test_bitmap_type_is_detected_from_its_first_bytes(kind: str, form: str) -> None:
    content = offer({"content": form.format(base64.b64encode(BITMAPS[kind]).decode())})
    assert image_in(content, "logo") == (kind, BITMAPS[kind])
    (image,) = images_in(content)
    assert (image.name, image.url, image.is_shown) == ("logo", None, True)


@pytest.mark.parametrize(
    "sent", ["", "data:image/png;base64,", "<BASE_64>", "PHN2Zz48L3N2Zz4=", "data:,%89PNG", "iVBOR", "ü"]
)
def test_data_that_is_no_bitmap_is_not_shown(sent: str) -> None:
    assert image_in(offer({"content": sent}), "logo") is None
    assert [image.is_shown for image in images_in(offer({"content": sent}))] == [False]


def test_percent_encoded_data_url_is_decoded() -> None:
    escaped = "data:image/png;base64," + base64.b64encode(PIXEL).decode().replace("+", "%2B").replace("=", "%3D")
    assert image_in(offer({"content": escaped}), "logo") == ("image/png", PIXEL)


def test_base64_with_line_breaks_is_decoded() -> None:
    data = PIXEL * 9
    content = offer({"content": f"data:image/png;base64,\n{base64.encodebytes(data).decode()}"})
    assert image_in(content, "logo") == ("image/png", data)
    assert [image.is_shown for image in images_in(content)] == [True]


def test_image_at_a_url_is_listed_but_not_shown() -> None:
    (image,) = images_in(offer({"url": "https://cdn.example/logo.png"}))
    assert (image.url, image.is_shown) == ("https://cdn.example/logo.png", False)


@pytest.mark.parametrize("content", [{}, {"assets": 1}, {"assets": {"logo": []}}, offer("x"), offer({"content": 3})])
def test_content_without_valid_images_has_none(content: dict[str, Any]) -> None:
    assert images_in(content) == []
    assert image_in(content, "logo") is None
    assert image_in(content, "assets") is None
