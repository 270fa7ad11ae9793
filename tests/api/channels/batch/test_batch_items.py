"""The validation of one element of `offers`: externalId, the forms of offerData, forbidden values, equal content."""

import hashlib
import json
from typing import Any

import pytest

from api.bounds.body import BodyBounds
from api.intake.batch import validate_items
from api.parsing.nesting import MAX_NESTING
from api.parsing.strict_json import DUPLICATE_NAME, NUMBER_RANGE, TOO_DEEP
from api.validation.characters import LONE_SURROGATE, NULL_CHARACTER
from domain.runs.batch_reconciliation import InvalidItem, SentItem, ValidItem
from tests.support import examples
from tests.support.examples import batch, body, item, offer_data, validated_item_text

OBJECT = "must be an object"
INVALID_NAME = "member names must not contain U+0000 or lone surrogates"


def validated(element: Any) -> SentItem:
    return examples.validated_item(element, index=7)


def failed(text: str) -> tuple[str | None, list[str]]:
    """Returns the externalId and the messages of an invalid item with this text."""
    invalid = validated_item_text(text, index=7)
    assert isinstance(invalid, InvalidItem), invalid
    assert invalid.sent_digest == hashlib.sha256(text.encode()).hexdigest()
    return invalid.external_id, list(invalid.messages)


def refused(element: Any) -> tuple[str | None, list[str]]:
    return failed(json.dumps(element))


def with_member(text: str) -> str:
    """Returns an item whose content has a member with this text as its value."""
    return json.dumps(item(extra="HERE")).replace('"HERE"', text)


def digest_of(element: Any) -> str:
    valid = validated(element)
    assert isinstance(valid, ValidItem), valid
    return valid.content.digest


def content_of(valid: ValidItem) -> Any:
    return json.loads(bytes(valid.content.text))


# externalId


@pytest.mark.parametrize("external_id", ["x", " ", "x" * 256, "😀" * 256, 'a/b?c"d~', "\u0001"])
def test_external_id_is_any_text_of_1_to_256_characters(external_id: str) -> None:
    valid = validated(item(external_id))
    assert isinstance(valid, ValidItem)
    assert valid.external_id == external_id


@pytest.mark.parametrize(
    ("external_id", "message"),
    [
        ("", "must not be empty"),
        ("x" * 257, "must have at most 256 characters"),
        (1, "must be a string"),
        (None, "must be a string"),
        (True, "must be a string"),
        (["TP-1"], "must be a string"),
        (2**60, NUMBER_RANGE),
        ("TP\0", NULL_CHARACTER),
        ("TP\ud800", LONE_SURROGATE),
    ],
)
def test_unreadable_external_id_is_reported_with_the_item_index(external_id: Any, message: str) -> None:
    assert refused(item(external_id)) == (None, [f"offers[7].externalId: {message}"])


def test_missing_external_id_is_unreadable() -> None:
    assert refused({"offerData": offer_data()}) == (None, ["offers[7].externalId: required"])


def test_duplicate_external_id_member_is_unreadable() -> None:
    failure = failed('{"externalId":"TP-1","externalId":"TP-1","offerData":{}}')
    assert failure == (None, [f"offers[7].externalId: {DUPLICATE_NAME}"])


def test_other_errors_of_an_item_without_id_are_reported_too() -> None:
    assert refused({"offerData": [offer_data(name="")]}) == (
        None,
        ["offers[7].externalId: required", "offers[7].offerData[0].name: must not be empty"],
    )


@pytest.mark.parametrize("element", [None, 1, "x", True, [], [item()], 2**60])
def test_element_must_be_an_object(element: Any) -> None:
    assert refused(element) == (None, [f"offers[7]: {OBJECT}"])


# offerData


@pytest.mark.parametrize("data", [offer_data(), [offer_data()]], ids=["object", "array of one"])
def test_offer_data_is_an_object_or_an_array_of_one(data: Any) -> None:
    valid = validated({"externalId": "TP-1", "offerData": data})
    assert isinstance(valid, ValidItem)
    assert content_of(valid) == offer_data()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ([], "offerData: must have at least 1 element(s)"),
        ([offer_data(), offer_data()], "offerData: must have at most 1 element(s)"),
        (None, f"offerData: {OBJECT}"),
        ("x", f"offerData: {OBJECT}"),
        (1, f"offerData: {OBJECT}"),
        ([None], f"offerData[0]: {OBJECT}"),
        ([[offer_data()]], f"offerData[0]: {OBJECT}"),
        (offer_data(dailyCap=0), "offerData.dailyCap: must be at least 1"),
        ([offer_data(dailyCap=0)], "offerData[0].dailyCap: must be at least 1"),
    ],
)
def test_message_names_the_form_of_offer_data_that_was_sent(data: Any, message: str) -> None:
    assert refused({"externalId": "TP-1", "offerData": data}) == ("TP-1", [message])


def test_offer_data_is_required() -> None:
    assert refused({"externalId": "TP-1"}) == ("TP-1", ["offerData: required"])


def test_members_beside_offer_data_are_ignored_with_a_message() -> None:
    valid = validated(item() | {"priority": 5, "offerdata": [{"secret": 1}]})
    assert isinstance(valid, ValidItem)
    assert content_of(valid) == offer_data()
    assert valid.remarks == (
        "priority: ignored, not a member of an offer",
        "offerdata: ignored, not a member of an offer",
    )


# Forbidden values


@pytest.mark.parametrize(
    ("text", "place", "message"),
    [
        ("9007199254740992.0", "", NUMBER_RANGE),
        ("[1,1e400]", "[1]", NUMBER_RANGE),
        (r'{"a":"\u0000"}', ".a", NULL_CHARACTER),
        (r'"\udc00"', "", LONE_SURROGATE),
        ('{"a":{"b":1,"b":1}}', ".a.b", DUPLICATE_NAME),
        (r'{"\u0000":1}', "", INVALID_NAME),
    ],
)
def test_value_that_cannot_be_stored_fails_its_item(text: str, place: str, message: str) -> None:
    assert failed(with_member(text)) == ("TP-1", [f"offerData[0].extra{place}: {message}"])


@pytest.mark.parametrize(("brackets", "fails"), [(MAX_NESTING - 3, False), (MAX_NESTING - 2, True), (900, True)])
def test_nesting_is_counted_from_the_item(brackets: int, fails: bool) -> None:
    result = validated_item_text(with_member("[" * brackets + "]" * brackets))
    assert isinstance(result, InvalidItem) is fails
    if isinstance(result, InvalidItem):
        assert [message.rpartition(": ")[2] for message in result.messages] == [TOO_DEEP]


@pytest.mark.parametrize(
    ("element", "failure"),
    [
        (r'{"externalId":"TP-1","\ud800":1}', ("TP-1", [INVALID_NAME])),
        (r'{"\u0000":1}', (None, [f"offers[7]: {INVALID_NAME}"])),
    ],
)
def test_invalid_name_beside_offer_data_is_reported_for_the_item(
    element: str, failure: tuple[str | None, list[str]]
) -> None:
    assert failed(element) == failure


def test_messages_of_an_item_do_not_outgrow_it() -> None:
    sent = f'{{"{"n" * 2000}":[{",".join(["1e400"] * 300)}]}}'
    _, messages = failed(with_member(sent))
    assert sum(map(len, messages)) < 20 * len(sent)


# Same content


@pytest.mark.parametrize(
    "other",
    [
        dict(reversed(offer_data().items())),
        offer_data(dailyCap=50.0),
        offer_data(weeklyCap=None, monthlyCap=None, allTimeCap=None),
        offer_data(offerEvents=None),
        offer_data(offerEvents=[]),
        [offer_data()],
        offer_data(extra=None),
    ],
    ids=["key order", "decimal", "null caps", "null events", "no events", "array", "null extra"],
)
def test_other_spelling_is_the_same_content(other: Any) -> None:
    assert digest_of({"externalId": "TP-1", "offerData": other}) == digest_of(item())


@pytest.mark.parametrize(
    "changes",
    [
        {"dailyCap": None},
        {"dailyCap": 51},
        {"headline": "Open a jar "},
        {"offerLink": "https://track.example/c/1?sub1=%7Bgk_click_id%7D"},
        {"creatives": []},
        {"extra": ""},
        {"extra": []},
        {"extra": 0},
        {"extra": False},
        {"extra": {}},
    ],
)
def test_every_other_difference_is_another_content(changes: dict[str, Any]) -> None:
    assert digest_of(item(**changes)) != digest_of(item())


def test_true_is_not_1() -> None:
    assert digest_of(item(extra=True)) != digest_of(item(extra=1))


def with_depth(depth: int) -> bytes:
    nested = b"[" * depth + b"]" * depth
    return body(batch("Insert", [item(), item("TP-2", extra="HERE")])).replace(b'"HERE"', nested)


@pytest.mark.parametrize("depth", [65, 400, 980, 1_000, 4_000, 9_000, 100_000])
def test_item_nested_too_deeply_fails_alone(depth: int) -> None:
    valid, deep = validate_items(lambda: [with_depth(depth)], BodyBounds(max_values=10**6)).items
    assert isinstance(valid, ValidItem)
    assert isinstance(deep, InvalidItem)
    place = "offerData[0].extra" + "[0]" * (MAX_NESTING - 3)
    assert (deep.external_id, deep.messages) == ("TP-2", (f"{place}: {TOO_DEEP}",))
