"""Which offers are in order on the merchant channel, and what is odd about them (contract, section 4)."""

import base64
import copy
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from api.intake.merchant_schemas import EXACTLY_ONE, NOT_A_URL, NOT_BASE64, MerchantOffer, warnings
from api.validation.field_errors import field_errors

URL = "https://cdn.example/logo.png"
LOGO, RECTANGLE = "assets.logo.value.large", "assets.largeRectangle.value.large"
EMPTY, STRING, OBJECT = "must not be empty", "must be a string", "must be an object"

SAMPLE = {
    "offerId": "323232",
    "merchantId": "2121",
    "offerName": "Test merchant",
    "assets": {
        "logo": {"type": "IMAGE", "value": {"large": {"url": "htttps://google.com"}}},
        "largeRectangle": {"type": "IMAGE", "value": {"large": {"content": "<BASE_64_ENCODED_STRING>"}}},
    },
}
"""The vendor's own, with its misspelt scheme and its placeholder."""


def offer(logo: Any = None, rectangle: Any = None, **changes: Any) -> dict[str, Any]:
    """An offer with these images (what `large` says)."""
    assets = {"logo": logo, "largeRectangle": rectangle}
    return {
        "offerId": "323232",
        "merchantId": "2121",
        "offerName": "Test merchant",
        "assets": {
            name: {"type": "IMAGE", "value": {"large": {"url": URL} if large is None else large}}
            for name, large in assets.items()
        },
        **changes,
    }


def messages(sent: Any) -> list[str]:
    """What is told about an offer; nothing if it is in order."""
    try:
        MerchantOffer.model_validate(sent)
    except ValidationError as error:
        return [str(complaint) for complaint in field_errors(error)]
    return []


# In order or not


def test_the_vendors_sample_is_in_order_with_two_warnings() -> None:
    assert messages(SAMPLE) == []
    assert warnings(SAMPLE) == (f"{LOGO}.url: {NOT_A_URL}", f"{RECTANGLE}.content: {NOT_BASE64}")


@pytest.mark.parametrize("name", ["offerId", "merchantId", "offerName", "assets"])
def test_a_required_key_must_be_there(name: str) -> None:
    sent = offer()
    del sent[name]
    assert messages(sent) == [f"{name}: required"]


@pytest.mark.parametrize("name", ["offerId", "merchantId", "offerName"])
@pytest.mark.parametrize(("value", "message"), [("", EMPTY), (7, STRING), (None, STRING), (["x"], STRING)])
def test_ids_and_names_are_strings_that_are_not_empty(name: str, value: Any, message: str) -> None:
    assert messages(offer(**{name: value})) == [f"{name}: {message}"]


@pytest.mark.parametrize("name", ["offerId", "merchantId"])
def test_an_id_has_256_characters_at_most(name: str) -> None:
    assert messages(offer(**{name: "😀" * 256})) == []
    assert messages(offer(**{name: "x" * 257})) == [f"{name}: must have at most 256 characters"]


@pytest.mark.parametrize("asset", ["logo", "largeRectangle"])
@pytest.mark.parametrize("path", [(), ("type",), ("value",), ("value", "large")])
def test_both_assets_are_there_with_all_their_parts(asset: str, path: tuple[str, ...]) -> None:
    sent = copy.deepcopy(SAMPLE)
    at: Any = sent["assets"]
    *ways, last = (asset, *path)
    for way in ways:
        at = at[way]
    at[last] = None
    place = ".".join(("assets", asset, *path))
    assert messages(sent) == [f"{place}: {'must be IMAGE' if last == 'type' else OBJECT}"]
    del at[last]
    assert messages(sent) == [f"{place}: required"]


@pytest.mark.parametrize("kind", ["image", "VIDEO", "", 1])
def test_an_asset_is_an_image(kind: Any) -> None:
    sent = copy.deepcopy(SAMPLE)
    sent["assets"]["logo"]["type"] = kind  # type: ignore[index]
    assert messages(sent) == ["assets.logo.type: must be IMAGE"]


@pytest.mark.parametrize("large", [{}, {"url": None}, {"content": None, "url": None}, {"url": URL, "content": "QQ=="}])
def test_an_image_is_given_by_exactly_one_of_url_and_content(large: dict[str, Any]) -> None:
    assert messages(offer(logo=large)) == [f"{LOGO}: {EXACTLY_ONE}"]
    assert messages(offer(large, large)) == [f"{LOGO}: {EXACTLY_ONE}", f"{RECTANGLE}: {EXACTLY_ONE}"]


def test_the_other_one_may_be_null() -> None:
    sent = offer({"url": URL, "content": None}, {"url": None, "content": "QQ=="})
    assert messages(sent) == []
    assert warnings(sent) == ()


@pytest.mark.parametrize("name", ["url", "content"])
@pytest.mark.parametrize(("value", "message"), [("", EMPTY), (7, STRING), (True, STRING), ({}, STRING)])
def test_url_and_content_are_strings_that_are_not_empty(name: str, value: Any, message: str) -> None:
    assert messages(offer(rectangle={name: value})) == [f"{RECTANGLE}.{name}: {message}"]


def test_unknown_members_are_welcome_everywhere() -> None:
    sent = offer({"url": URL, "width": 7}, terms=["x"])
    sent["assets"] |= {"video": {"type": "VIDEO"}}
    sent["assets"]["logo"] |= {"alt": "Logo"}
    sent["assets"]["logo"]["value"] |= {"small": None}
    assert messages(sent) == []


@pytest.mark.parametrize("sent", [None, [], "offer", 7])
def test_an_offer_is_an_object(sent: Any) -> None:
    assert messages(sent) == [OBJECT]


def test_the_schema_says_that_exactly_one_is_given() -> None:
    large = MerchantOffer.model_json_schema()["$defs"]["LargeImage"]
    assert [one["required"] for one in large["oneOf"]] == [["url"], ["content"]]


# What is odd


@pytest.mark.parametrize("url", [URL, "HTTP://[::1]:80/x?y={gk_click_id}#z", "http://a@b.example"])
def test_an_absolute_http_url_is_nothing_to_warn_of(url: str) -> None:
    assert warnings(offer({"url": url}, {"url": url})) == ()


@pytest.mark.parametrize(
    "url",
    ["htttps://google.com", "//cdn.example/x", "logo.png", "https://", "https://a b", " https://a.example", f"{URL}\n"],
)
def test_another_url_is_taken_with_a_warning(url: str) -> None:
    sent = offer({"url": url}, {"url": url})
    assert messages(sent) == []
    assert warnings(sent) == (f"{LOGO}.url: {NOT_A_URL}", f"{RECTANGLE}.url: {NOT_A_URL}")


@pytest.mark.parametrize(
    "content",
    [
        "QUJD",
        "QUI=",
        "QQ==",
        "+/+/",
        "data:image/png;base64,QUJD",
        "data:;base64,QQ==",
        "DATA:image/svg+xml;Base64,QUJD",
        "data:image/svg+xml;charset=utf-8;name=a%20b.svg;base64,QUI=",
        "data:image/png;base64,%2B%2f+/QQ%3D%3d",
    ],
)
def test_base64_is_nothing_to_warn_of(content: str) -> None:
    assert warnings(offer({"content": content}, {"content": content})) == ()


@pytest.mark.parametrize(
    "content",
    [
        "<BASE_64_ENCODED_STRING>",
        "QUJ",
        "QQ",
        "QQ=",
        "Q===",
        "====",
        "QQ==QUJD",
        "QUJD\n",
        "QU JD",
        "-_-_",
        "\uff31\uff35\uff2a\uff24",
        "%2B%2B",
        "data:image/png,QUJD",
        "data:image/png;base64",
        "data:image/png;base64,QUJ",
        "data:image/png;base64,QUI%",
        "data:image;base64,QUJD",
        "data:image/png;x;base64,QUJD",
        "data:image/png;ba\u017fe64,QUJD",
        " data:image/png;base64,QUJD",
        "image/png;base64,QUJD",
        "https://cdn.example/logo.png",
    ],
)
def test_another_content_is_taken_with_a_warning(content: str) -> None:
    sent = offer(rectangle={"content": content})
    assert messages(sent) == []
    assert warnings(sent) == (f"{RECTANGLE}.content: {NOT_BASE64}",)


@given(st.binary(min_size=1), st.sampled_from(["", "data:image/png;base64,"]))
def test_what_any_encoder_writes_is_base64(image: bytes, header: str) -> None:
    assert warnings(offer({"content": header + base64.b64encode(image).decode()})) == ()


@given(st.text("Aa0+/=-_ \né", min_size=1, max_size=9))
def test_what_a_strict_decoder_refuses_is_not_base64(content: str) -> None:
    try:
        base64.b64decode(content.encode(), validate=True)
        refused = len(content) % 4 > 0
    except ValueError:
        refused = True
    assert (warnings(offer({"content": content})) != ()) is refused


@pytest.mark.parametrize(
    "content",
    [
        "A" * 8_000_000,
        "A" * 7_999_999 + "!",
        "data:" + "a" * 8_000_000,
        "data:a/b" + ";a=b" * 2_000_000,
        "%" * 8_000_000,
    ],
)
def test_eight_megabytes_take_no_time(content: str) -> None:
    began = time.thread_time()
    warnings(offer({"content": content}, {"url": content}))
    assert time.thread_time() - began < 5
