"""An integer beyond ±(2^53-1) is kept by its digits in an unknown member, and fails any other (contract, section 2)."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from api.bounds.body import BodyBounds
from api.http.problems import Problem
from api.intake.merchant_offer import read_offer
from api.intake.offers_file import validate_record
from api.parsing.fast_json import read_element
from api.parsing.strict_json import MAX_INTEGER_DIGITS, MAX_NUMBER, NUMBER_RANGE, TOO_MANY_DIGITS
from domain.offers.content import canonical, digest
from domain.runs.batch_reconciliation import InvalidItem, ValidItem
from domain.runs.file_reconciliation import InvalidRecord, ValidRecord
from domain.values import Channel, OfferKey
from tests.support.calls.merchants import merchant_offer
from tests.support.examples import (
    PARTNER,
    item,
    messages_of_invalid_item,
    offer_data,
    valid_item,
    validated_item,
    validated_item_text,
)

LARGEST = 10**MAX_INTEGER_DIGITS - 1
LARGE = [MAX_NUMBER + 1, -MAX_NUMBER - 1, 2**63, 2**64, 2**64 + 1, LARGEST, -LARGEST]
TOO_LARGE = [LARGEST + 1, -LARGEST - 1, 10**200]
INTEGERS = st.integers(-LARGEST, LARGEST)
KEY = OfferKey(PARTNER, Channel.MERCHANT, "MER-310", "OFR-8841")
MAX_IMAGE_BYTES = 10_000


@pytest.mark.parametrize("number", LARGE)
def test_large_integer_in_an_unknown_member_is_kept(number: int) -> None:
    creatives = [{"order": 0, "url": "https://a.example", "id": number}]
    changes = {"id": number, "more": {"ids": [number, {"id": number}]}, "creatives": creatives}
    stored = valid_item(**changes)
    assert json.loads(bytes(stored.content.text)) == offer_data(**changes)
    assert stored.remarks == ()


@pytest.mark.parametrize("number", TOO_LARGE)
def test_integer_of_more_than_40_digits_fails_the_item(number: int) -> None:
    assert messages_of_invalid_item(id=number) == (f"offerData[0].id: {TOO_MANY_DIGITS}",)
    assert messages_of_invalid_item(more=[{"id": number}]) == (f"offerData[0].more[0].id: {TOO_MANY_DIGITS}",)


@pytest.mark.parametrize("number", [*LARGE, *TOO_LARGE])
@pytest.mark.parametrize("name", ["headline", "dailyCap", "termsAndDisclaimers", "creatives", "offerEvents"])
def test_large_integer_in_a_known_member_fails_the_item(name: str, number: int) -> None:
    assert messages_of_invalid_item(**{name: number}) == (f"offerData[0].{name}: {NUMBER_RANGE}",)


def test_large_integer_in_a_known_part_fails_the_item() -> None:
    creatives = [{"order": 2**60, "url": "https://a.example"}]
    assert messages_of_invalid_item(creatives=creatives) == (f"offerData[0].creatives[0].order: {NUMBER_RANGE}",)


@pytest.mark.parametrize("text", ["9007199254740992.0", "1e16", "1e400", "-1e20"])
def test_other_large_number_fails_the_item(text: str) -> None:
    sent = json.dumps(item(id="HERE")).replace('"HERE"', text)
    validated = validated_item_text(sent)
    assert isinstance(validated, InvalidItem)
    assert validated.messages == (f"offerData[0].id: {NUMBER_RANGE}",)


def test_large_integer_beside_the_content_is_ignored() -> None:
    validated = validated_item(item() | {"batchId": 2**60})
    assert isinstance(validated, ValidItem)
    assert validated.remarks == ("batchId: ignored, not a member of an offer",)


def test_item_with_a_large_integer_is_recognised_by_its_bytes() -> None:
    assert valid_item(id=2**60).content.sent_digest


@given(INTEGERS, INTEGERS)
def test_large_integers_are_compared_by_their_digits(one: int, other: int) -> None:
    assert (valid_item(id=one).content.digest == valid_item(id=other).content.digest) is (one == other)


@given(INTEGERS | st.integers(2**53 - 3, 2**53 + 3))
def test_canonical_form_has_the_digits(number: int) -> None:
    assert canonical({"b": number, "a": [1e-9, "\U0001f600"]}) == f'{{"a":[1e-9,"😀"],"b":{number}}}'.encode()
    assert digest({"id": number}) != digest({"id": number + 1})


@given(INTEGERS)
def test_every_json_reader_keeps_the_digits(number: int) -> None:
    text = json.dumps({"id": number}).encode()
    assert msgspec.json.encode(msgspec.json.decode(text)) == msgspec.json.encode({"id": number})
    element = read_element(text)
    assert element.value == {"id": number}
    assert bool(element.invalid_values) is (abs(number) > MAX_NUMBER)


# The merchant channel


def record(**changes: Any) -> Any:
    sent = {"offerStatus": "UPSERT", **merchant_offer(), **changes}
    return validate_record(Raw(json.dumps(sent).encode()), 0, {}, BodyBounds(max_image_bytes=MAX_IMAGE_BYTES))


@pytest.mark.parametrize("number", LARGE)
def test_merchant_offer_keeps_large_integers(number: int) -> None:
    sent = merchant_offer(id=number)
    sent["assets"]["logo"]["id"] = number
    put = read_offer(json.dumps(sent).encode(), KEY, BodyBounds(max_image_bytes=MAX_IMAGE_BYTES))
    assert put.content.digest == digest(sent)
    same = record(**sent)
    assert isinstance(same, ValidRecord)
    assert same.put
    assert same.put.content.digest == digest(sent)


@pytest.mark.parametrize("changes", [{"offerName": 2**60}, {"assets": 2**60}, {"id": LARGEST + 1}])
def test_merchant_offer_refuses_other_large_integers(changes: dict[str, Any]) -> None:
    with pytest.raises(Problem):
        read_offer(json.dumps(merchant_offer(**changes)).encode(), KEY, BodyBounds(max_image_bytes=MAX_IMAGE_BYTES))
    assert isinstance(record(**changes), InvalidRecord)
