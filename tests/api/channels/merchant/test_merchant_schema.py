"""Valid offers on the merchant channel, and the warnings about them (contract, section 4)."""

import base64
import copy
import time
from typing import Any

import jsonschema_rs
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
"""The sample of the vendor, with its misspelt scheme and its placeholder."""


def offer(logo: Any = None, rectangle: Any = None, **changes: Any) -> dict[str, Any]:
    """Returns an offer with these values of `large`."""
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
    """Returns the error messages about an offer; none if it is valid."""
    try:
        MerchantOffer.model_validate(sent)
    except ValidationError as error:
        return [str(field_error) for field_error in field_errors(error)]
    return []


# Validity


def test_sample_of_the_vendor_is_valid_with_two_warnings() -> None:
    assert messages(SAMPLE) == []
    assert warnings(SAMPLE) == (f"{LOGO}.url: {NOT_A_URL}", f"{RECTANGLE}.content: {NOT_BASE64}")


@pytest.mark.parametrize("name", ["offerId", "merchantId", "offerName", "assets"])
def test_missing_member_is_reported_as_required(name: str) -> None:
    sent = offer()
    del sent[name]
    assert messages(sent) == [f"{name}: required"]


@pytest.mark.parametrize("name", ["offerId", "merchantId", "offerName"])
@pytest.mark.parametrize(("value", "message"), [("", EMPTY), (7, STRING), (None, STRING), (["x"], STRING)])
def test_ids_and_names_must_be_nonempty_strings(name: str, value: Any, message: str) -> None:
    assert messages(offer(**{name: value})) == [f"{name}: {message}"]


@pytest.mark.parametrize("name", ["offerId", "merchantId"])
def test_id_has_at_most_256_characters(name: str) -> None:
    assert messages(offer(**{name: "😀" * 256})) == []
    assert messages(offer(**{name: "x" * 257})) == [f"{name}: must have at most 256 characters"]


@pytest.mark.parametrize("asset", ["logo", "largeRectangle"])
@pytest.mark.parametrize("path", [(), ("type",), ("value",), ("value", "large")])
def test_both_assets_are_required_with_all_their_parts(asset: str, path: tuple[str, ...]) -> None:
    sent = copy.deepcopy(SAMPLE)
    parent: Any = sent["assets"]
    *parent_names, last = (asset, *path)
    for name in parent_names:
        parent = parent[name]
    parent[last] = None
    place = ".".join(("assets", asset, *path))
    assert messages(sent) == [f"{place}: {'must be IMAGE' if last == 'type' else OBJECT}"]
    del parent[last]
    assert messages(sent) == [f"{place}: required"]


@pytest.mark.parametrize("kind", ["image", "VIDEO", "", 1])
def test_asset_must_be_an_image(kind: Any) -> None:
    sent = copy.deepcopy(SAMPLE)
    sent["assets"]["logo"]["type"] = kind  # type: ignore[index]
    assert messages(sent) == ["assets.logo.type: must be IMAGE"]


@pytest.mark.parametrize("large", [{}, {"url": None}, {"content": None, "url": None}, {"url": URL, "content": "QQ=="}])
def test_image_has_exactly_one_of_url_and_content(large: dict[str, Any]) -> None:
    assert messages(offer(logo=large)) == [f"{LOGO}: {EXACTLY_ONE}"]
    assert messages(offer(large, large)) == [f"{LOGO}: {EXACTLY_ONE}", f"{RECTANGLE}: {EXACTLY_ONE}"]


def test_other_one_of_url_and_content_may_be_null() -> None:
    sent = offer({"url": URL, "content": None}, {"url": None, "content": "QQ=="})
    assert messages(sent) == []
    assert warnings(sent) == ()


@pytest.mark.parametrize("name", ["url", "content"])
@pytest.mark.parametrize(("value", "message"), [("", EMPTY), (7, STRING), (True, STRING), ({}, STRING)])
def test_url_and_content_must_be_nonempty_strings(name: str, value: Any, message: str) -> None:
    assert messages(offer(rectangle={name: value})) == [f"{RECTANGLE}.{name}: {message}"]


def test_unknown_members_are_valid_everywhere() -> None:
    sent = offer({"url": URL, "width": 7}, terms=["x"])
    sent["assets"] |= {"video": {"type": "VIDEO"}}
    sent["assets"]["logo"] |= {"alt": "Logo"}
    sent["assets"]["logo"]["value"] |= {"small": None}
    assert messages(sent) == []


@pytest.mark.parametrize("sent", [None, [], "offer", 7])
def test_offer_must_be_an_object(sent: Any) -> None:
    assert messages(sent) == [OBJECT]


@pytest.mark.parametrize(
    ("large", "is_valid"),
    [
        ({"url": URL}, True),
        ({"content": "QQ=="}, True),
        ({"url": None, "content": "QQ=="}, True),
        ({"url": URL, "content": None, "more": 1}, True),
        ({"url": URL, "content": "QQ=="}, False),
        ({"url": None}, False),
        ({}, False),
    ],
)
def test_schema_requires_exactly_one_of_url_and_content(large: dict[str, Any], *, is_valid: bool) -> None:
    schema = MerchantOffer.model_json_schema()["$defs"]["LargeImage"]
    assert jsonschema_rs.is_valid(schema, large) is is_valid


# Warnings


@pytest.mark.parametrize("url", [URL, "HTTP://[::1]:80/x?y={gk_click_id}#z", "http://a@b.example"])
def test_absolute_http_url_has_no_warning(url: str) -> None:
    assert warnings(offer({"url": url}, {"url": url})) == ()


@pytest.mark.parametrize(
    "url",
    ["htttps://google.com", "//cdn.example/x", "logo.png", "https://", "https://a b", " https://a.example", f"{URL}\n"],
)
def test_other_url_is_valid_with_a_warning(url: str) -> None:
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
def test_base64_has_no_warning(content: str) -> None:
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
def test_other_content_is_valid_with_a_warning(content: str) -> None:
    sent = offer(rectangle={"content": content})
    assert messages(sent) == []
    assert warnings(sent) == (f"{RECTANGLE}.content: {NOT_BASE64}",)


@given(st.binary(min_size=1), st.sampled_from(["", "data:image/png;base64,"]))
def test_output_of_an_encoder_is_base64(image: bytes, header: str) -> None:
    assert warnings(offer({"content": header + base64.b64encode(image).decode()})) == ()


@given(st.text("Aa0+/=-_ \né", min_size=1, max_size=9))
def test_text_that_a_strict_decoder_refuses_is_not_base64(content: str) -> None:
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
def test_eight_megabytes_are_checked_in_little_time(content: str) -> None:
    started = time.thread_time()
    warnings(offer({"content": content}, {"url": content}))
    assert time.thread_time() - started < 5
