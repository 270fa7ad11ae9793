"""An unknown member that looks like a misspelt known one gets a message (contract, section 2)."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from api.bounds.body import BodyBounds
from api.http.problems import Problem
from api.intake.batch_schemas import BatchItem, OfferData
from api.intake.merchant_offer import read_offer
from api.intake.offers_file import validate_record
from api.validation.known_members import MAX_UNKNOWN_EXAMINED, known_members, misspelt_members
from domain.runs.batch_reconciliation import InvalidItem, ValidItem
from domain.runs.file_reconciliation import InvalidRecord, ValidRecord
from domain.values import Channel, OfferKey
from tests.support.calls.merchants import merchant_offer
from tests.support.examples import PARTNER, item, valid_item, validated_item

KEY = OfferKey(PARTNER, Channel.MERCHANT, "MER-310", "OFR-8841")
MAX_IMAGE_BYTES = 10_000


def remarks(**changes: Any) -> tuple[str, ...]:
    """Returns the remarks about a valid offer with these changes."""
    return valid_item(**changes).remarks


def hint(place: str, meant: str) -> str:
    return f"{place}: unknown; did you mean {meant}?"


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("hedline", "headline"),
        ("headlnie", "headline"),
        ("headlines", "headline"),
        ("Headline", "headline"),
        ("nmae", "name"),
        ("daily_cap", "dailyCap"),
        ("DailyCap", "dailyCap"),
        ("offerEvent", "offerEvents"),
        ("termsAndDisclamer", "termsAndDisclaimers"),
        ("advertisrCampaingName", "advertiserCampaignName"),
    ],
)
def test_misspelt_member_gets_a_hint(name: str, meant: str) -> None:
    assert remarks(**{name: "x"}) == (hint(f"offerData[0].{name}", meant),)


@pytest.mark.parametrize(
    "name",
    ["category", "headline2", "headlineEn", "currency", "tags", "isNew", "id", "hourlyCap", "creativeUrl", "titel", ""],
)
def test_other_unknown_member_gets_no_hint(name: str) -> None:
    assert remarks(**{name: "x"}) == ()


def test_misspelt_member_of_a_part_gets_a_hint() -> None:
    changes = {
        "dailyCap": None,
        "creatives": [{"order": 0, "url": "https://a.example", "ordre": 1}],
        "offerEvents": [{"eventId": "e1", "name": "a"}, {"eventId": "e2", "name": "b", "reveneu": 1, "note": 1}],
    }
    assert remarks(**changes) == (
        hint("offerData[0].creatives[0].ordre", "order"),
        hint("offerData[0].offerEvents[1].reveneu", "revenue"),
    )


def test_names_inside_an_unknown_member_get_no_hint() -> None:
    assert remarks(more={"hedline": 1, "creatives": [{"ordre": 1}]}) == ()


def test_item_with_a_hint_is_parsed_every_time() -> None:
    validated = validated_item(item(hedline="x"))
    assert isinstance(validated, ValidItem)
    assert validated.content.sent_digest is None


def test_item_that_fails_gets_the_hint_too() -> None:
    sent = item()
    sent["offerData"][0]["hedline"] = sent["offerData"][0].pop("headline")
    failed = validated_item(sent)
    assert isinstance(failed, InvalidItem)
    assert failed.messages == ("offerData[0].headline: required", hint("offerData[0].hedline", "headline"))


def test_item_without_id_gets_the_hint_at_its_index() -> None:
    failed = validated_item({"externalID": "TP-1", "offerData": item()["offerData"]}, index=3)
    assert isinstance(failed, InvalidItem)
    assert failed.messages == ("offers[3].externalId: required", hint("offers[3].externalID", "externalId"))


@pytest.mark.parametrize("name", ["headlin\0", "headlin\ud800", "h\u00e9adline", "headline" * 2000])
def test_name_in_a_hint_is_short_plain_text(name: str) -> None:
    assert misspelt_members({"offerData": {name: 1}}, known_members(BatchItem)) == []


@given(st.sampled_from(sorted(OfferData.model_fields)), st.data())
def test_every_single_typing_error_is_recognised(known: str, data: st.DataObject) -> None:
    at, letter = data.draw(st.integers(0, len(known) - 1)), data.draw(st.sampled_from("abcxyz_"))
    swapped = known[:at] + known[at : at + 2][::-1] + known[at + 2 :]
    typos = [
        known[:at] + letter + known[at:],
        known[:at] + known[at + 1 :],
        known[:at] + letter + known[at + 1 :],
        swapped,
    ]
    typo = data.draw(st.sampled_from(typos))
    hints = misspelt_members({"offerData": {typo: 1}}, known_members(BatchItem))
    assert len(hints) == (len(typo) > 3 and typo not in OfferData.model_fields)


def test_hints_about_one_item_are_limited() -> None:
    many = {f"headlin{letter}": 1 for letter in "abcdfghijklmnopq"} | {"xxxx" + letter * 9: 1 for letter in "abcdefgh"}
    assert len(remarks(**many)) == 10
    unlike = {f"{letter * 7}x": 1 for letter in "abcdefghijklmnopqrstuvwxyz"[:MAX_UNKNOWN_EXAMINED]}
    assert remarks(**unlike, hedline=1) == ()


# The merchant channel


def record(**changes: Any) -> Any:
    sent = {"offerStatus": "UPSERT", **merchant_offer(), **changes}
    return validate_record(Raw(json.dumps(sent).encode()), 0, {}, BodyBounds(max_image_bytes=MAX_IMAGE_BYTES))


def test_misspelt_member_of_a_put_is_a_warning() -> None:
    sent = merchant_offer(offerNmae="x", category="y")
    sent["assets"]["logo"]["typ"] = "IMAGE"
    put = read_offer(json.dumps(sent).encode(), KEY, BodyBounds(max_image_bytes=MAX_IMAGE_BYTES))
    assert put.warnings == (hint("offerNmae", "offerName"),)


def test_misspelt_member_of_a_refused_put_is_named() -> None:
    sent = merchant_offer()
    sent["offerNmae"] = sent.pop("offerName")
    with pytest.raises(Problem) as refused:
        read_offer(json.dumps(sent).encode(), KEY, BodyBounds(max_image_bytes=MAX_IMAGE_BYTES))
    assert [str(error) for error in refused.value.errors] == ["offerName: required", hint("offerNmae", "offerName")]


def test_misspelt_member_of_a_record_is_a_message() -> None:
    valid, failed = record(offerNmae="x"), record(offerName="", ofersStatus="NEW")
    assert isinstance(valid, ValidRecord)
    assert valid.put
    assert (valid.put.warnings, valid.put.content.sent_digest) == ((hint("offerNmae", "offerName"),), None)
    assert isinstance(failed, InvalidRecord)
    assert failed.messages == ("offerName: must not be empty", hint("ofersStatus", "offerStatus"))
