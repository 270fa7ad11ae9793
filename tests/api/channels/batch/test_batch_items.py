"""An element of `offers`: its externalId, the two forms of offerData, what may not be stored, what is the same."""

import hashlib
import json
from contextlib import suppress
from typing import Any

import pytest

from api.http.problems import Problem
from api.intake.batch import validate_items
from api.parsing.strict_json import DUPLICATE_NAME, LONE_SURROGATE, MAX_NESTING, NULL_CHARACTER, NUMBER_RANGE, TOO_DEEP
from domain.runs.batch_reconciliation import InvalidItem, SentItem, ValidItem
from tests.support import examples
from tests.support.examples import batch, body, item, offer_data, validated_item_text

OBJECT = "must be an object"
NAME_FLAW = "member names must not contain U+0000 or lone surrogates"


def judged(element: Any) -> SentItem:
    return examples.validated_item(element, index=7)


def failed(text: str) -> tuple[str | None, list[str]]:
    """The externalId and the messages of an item that is spelt like this, which is out of order."""
    found = validated_item_text(text, index=7)
    assert isinstance(found, InvalidItem), found
    assert found.sent_digest == hashlib.sha256(text.encode()).hexdigest()
    return found.external_id, list(found.messages)


def refused(element: Any) -> tuple[str | None, list[str]]:
    return failed(json.dumps(element))


def with_member(text: str) -> str:
    """An item in order, but for a member of its content that is written like this."""
    return json.dumps(item(extra="HERE")).replace('"HERE"', text)


def digest_of(element: Any) -> str:
    found = judged(element)
    assert isinstance(found, ValidItem), found
    return found.content.digest


def content_of(found: ValidItem) -> Any:
    return json.loads(bytes(found.content.text))


# externalId


@pytest.mark.parametrize("external_id", ["x", " ", "x" * 256, "😀" * 256, 'a/b?c"d~', "\u0001"])
def test_an_external_id_is_any_text_of_1_to_256_characters(external_id: str) -> None:
    found = judged(item(external_id))
    assert isinstance(found, ValidItem)
    assert found.external_id == external_id


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
def test_an_external_id_that_cannot_be_read_is_told_by_the_place_of_its_item(external_id: Any, message: str) -> None:
    assert refused(item(external_id)) == (None, [f"offers[7].externalId: {message}"])


def test_a_missing_external_id_cannot_be_read() -> None:
    assert refused({"offerData": offer_data()}) == (None, ["offers[7].externalId: required"])


def test_an_external_id_given_twice_cannot_be_read() -> None:
    found = failed('{"externalId":"TP-1","externalId":"TP-1","offerData":{}}')
    assert found == (None, [f"offers[7].externalId: {DUPLICATE_NAME}"])


def test_everything_else_is_told_of_an_item_without_external_id_too() -> None:
    assert refused({"offerData": [offer_data(name="")]}) == (
        None,
        ["offers[7].externalId: required", "offers[7].offerData[0].name: must not be empty"],
    )


@pytest.mark.parametrize("element", [None, 1, "x", True, [], [item()], 2**60])
def test_an_element_must_be_an_object(element: Any) -> None:
    assert refused(element) == (None, [f"offers[7]: {OBJECT}"])


# offerData


@pytest.mark.parametrize("data", [offer_data(), [offer_data()]], ids=["object", "array of one"])
def test_offer_data_is_an_object_or_an_array_of_one(data: Any) -> None:
    found = judged({"externalId": "TP-1", "offerData": data})
    assert isinstance(found, ValidItem)
    assert content_of(found) == offer_data()


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
def test_a_message_follows_the_form_that_was_sent(data: Any, message: str) -> None:
    assert refused({"externalId": "TP-1", "offerData": data}) == ("TP-1", [message])


def test_offer_data_must_be_there() -> None:
    assert refused({"externalId": "TP-1"}) == ("TP-1", ["offerData: required"])


def test_members_beside_offer_data_are_ignored_with_a_message() -> None:
    found = judged(item() | {"priority": 5, "offerdata": [{"secret": 1}]})
    assert isinstance(found, ValidItem)
    assert content_of(found) == offer_data()
    assert found.remarks == (
        "priority: ignored, not a member of an offer",
        "offerdata: ignored, not a member of an offer",
    )


# What may not be stored


@pytest.mark.parametrize(
    ("text", "place", "message"),
    [
        ("9007199254740992", "", NUMBER_RANGE),
        ("[1,1e400]", "[1]", NUMBER_RANGE),
        (r'{"a":"\u0000"}', ".a", NULL_CHARACTER),
        (r'"\udc00"', "", LONE_SURROGATE),
        ('{"a":{"b":1,"b":1}}', ".a.b", DUPLICATE_NAME),
        (r'{"\u0000":1}', "", NAME_FLAW),
    ],
)
def test_a_value_that_cannot_be_stored_fails_its_item(text: str, place: str, message: str) -> None:
    assert failed(with_member(text)) == ("TP-1", [f"offerData[0].extra{place}: {message}"])


@pytest.mark.parametrize(("brackets", "fails"), [(MAX_NESTING - 3, False), (MAX_NESTING - 2, True), (900, True)])
def test_nesting_is_counted_from_the_item(brackets: int, fails: bool) -> None:
    found = validated_item_text(with_member("[" * brackets + "]" * brackets))
    assert isinstance(found, InvalidItem) is fails
    if isinstance(found, InvalidItem):
        assert [message.rpartition(": ")[2] for message in found.messages] == [TOO_DEEP]


@pytest.mark.parametrize(
    ("element", "found"),
    [
        (r'{"externalId":"TP-1","\ud800":1}', ("TP-1", [NAME_FLAW])),
        (r'{"\u0000":1}', (None, [f"offers[7]: {NAME_FLAW}"])),
    ],
)
def test_a_flawed_name_beside_offer_data_is_told_of_the_item(element: str, found: tuple[str | None, list[str]]) -> None:
    assert failed(element) == found


def test_what_is_told_of_an_item_does_not_outgrow_it() -> None:
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
def test_spelling_makes_no_other_content(other: Any) -> None:
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
def test_every_other_difference_makes_another_content(changes: dict[str, Any]) -> None:
    assert digest_of(item(**changes)) != digest_of(item())


def test_true_is_not_1() -> None:
    assert digest_of(item(extra=True)) != digest_of(item(extra=1))


def with_depth(depth: int) -> bytes:
    nested = b"[" * depth + b"]" * depth
    return body(batch("Insert", [item(), item("TP-2", extra="HERE")])).replace(b'"HERE"', nested)


@pytest.mark.parametrize("depth", [65, 400])
def test_an_item_nested_too_deeply_fails_alone(depth: int) -> None:
    sound, deep = validate_items(lambda: [with_depth(depth)]).items
    assert isinstance(sound, ValidItem)
    assert isinstance(deep, InvalidItem)


@pytest.mark.parametrize("depth", [900, 950, 970, 980, 990, 1_000, 4_000, 9_000])
def test_an_item_nested_so_deeply_that_the_body_can_hardly_be_taken_apart_fails_or_the_body_does(depth: int) -> None:
    with suppress(Problem):
        _, deep = validate_items(lambda: [with_depth(depth)]).items
        assert isinstance(deep, InvalidItem)
