"""What becomes of records that are not in order, and of those beside them? (contract, section 4)"""

from typing import Any

import pytest

from api.service import Service
from tests.support.calls.merchants import MERCHANT, limit, position, put
from tests.support.calls.offers_files import (
    content,
    inventory,
    messages,
    nonzero_counts,
    offers_file,
    outcomes,
    record,
    send_file,
    send_json,
    without,
)
from tests.support.examples import body
from tests.support.harness import Caller


@pytest.fixture(autouse=True)
def _unhurried(service: Service) -> None:
    limit(service)


@pytest.fixture
def known(partner: Caller) -> Caller:
    """A partner whose offer ACTIVE is that."""
    assert put(partner, content(record("ACTIVE")), offer="ACTIVE").status_code == 202
    return partner


def test_records_of_the_same_offer_are_all_refused(known: Caller) -> None:
    copies = [record("ACTIVE", offerName="Another"), record("ACTIVE", "DELETED"), record("FRESH"), record("FRESH")]
    reply = send_file(known, *copies, record("B"))
    assert outcomes(reply) == {"created": ["B"], "failed": ["ACTIVE", "ACTIVE", "FRESH", "FRESH"]}
    assert messages(reply)["FRESH"] == ["merchantId, offerId: occurs 2 times in this file"]
    assert inventory(known) == {"ACTIVE": ("active", 1), "B": ("active", 1)}


def test_a_copy_that_is_broken_does_not_make_the_other_one_good(partner: Caller) -> None:
    reply = send_file(partner, record("A"), record("A", offerName=""), record("B"))
    assert outcomes(reply) == {"created": ["B"], "failed": ["A", "A"]}


LARGE = {"large": {"url": "https://img.example/1.png", "content": "AAAA"}}
BROKEN: dict[str, tuple[Any, str | None, list[str]]] = {
    "no name": (without(record("F"), "offerName"), "F", ["offerName: required"]),
    "an empty name": (record("F", offerName=""), "F", ["offerName: must not be empty"]),
    "a name that is no text": (record("F", offerName=1), "F", ["offerName: must be a string"]),
    "no assets": (record("F", assets=None), "F", ["assets: must be an object"]),
    "an asset of another type": (
        record("F", assets=record("F")["assets"] | {"logo": {"type": "GIF", "value": LARGE}}),
        "F",
        ["assets.logo.type: must be IMAGE", "assets.logo.value.large: must have exactly one of url and content"],
    ),
    "no id": (without(record("F"), "offerId"), None, ["offers[1].offerId: required"]),
    "an id that is no text": (record(7), None, ["offers[1].offerId: must be a string"]),
    "an empty id": (record(""), None, ["offers[1].offerId: must not be empty"]),
    "a long id": (record("F" * 257), None, ["offers[1].offerId: must have at most 256 characters"]),
    "a deleted one without its id": (
        {"offerStatus": "DELETED", "merchantId": MERCHANT},
        None,
        ["offers[1].offerId: required"],
    ),
    "no object": (5, None, ["offers[1]: must be an object"]),
    "a number beyond all numbers": (
        record("F", terms={"cap": 2**53}),
        "F",
        ["terms.cap: must be a number between -(2^53-1) and 2^53-1"],
    ),
    "a character that no store can keep": (
        record("F", offerName="a\0"),
        "F",
        ["offerName: must not contain the character U+0000"],
    ),
    "half a character": (record("F", note="\ud800"), "F", ["note: must not contain a lone surrogate"]),
}


@pytest.mark.parametrize(("sent", "offer", "said"), BROKEN.values(), ids=BROKEN)
def test_a_record_that_fails_is_skipped_and_its_field_named(
    partner: Caller, sent: Any, offer: str | None, said: list[str]
) -> None:
    reply = send_file(partner, record("A"), sent, record("B"))
    assert outcomes(reply) == {"created": ["A", "B"], "failed": [offer]}
    assert messages(reply) == {offer: said}
    assert inventory(partner) == {"A": ("active", 1), "B": ("active", 1)}


def test_a_record_with_a_name_given_twice_fails(partner: Caller) -> None:
    twice = body(offers_file(record("A"), record("F"))).replace(
        b'"offerName": "Offer F"', b'"offerName": "1", "offerName": "2"'
    )
    assert messages(send_json(partner, twice)) == {"F": ["offerName: duplicate member name"]}


def test_a_record_without_one_of_the_five_statuses_fails_and_is_told_all_five(partner: Caller) -> None:
    others = [None, "", "new", "GONE", 1, ["NEW"], {"NEW": 1}]
    records = [record(f"F-{n}", status) for n, status in enumerate(others)]
    said = messages(send_file(partner, *records, without(record("G"), "offerStatus")))
    assert said.pop("G") == ["offerStatus: required"]
    assert list(said.values()) == [["offerStatus: must be NEW, UPDATED, UPSERT, NO-CHANGE or DELETED"]] * len(others)


def test_a_file_whose_records_all_fail_is_done_and_has_changed_nothing(known: Caller) -> None:
    before = position(known)
    reply = send_file(known, record("ACTIVE", offerName=""), 5)
    assert nonzero_counts(reply) == {"failed": 2}
    assert position(known) == before


def test_a_long_list_of_problems_is_cut(partner: Caller) -> None:
    (said,) = messages(send_file(partner, record("F", **{f"n{n}": 2**60 for n in range(30)}))).values()
    assert (len(said), said[-1]) == (11, "there are more problems")


def test_an_offer_is_taken_down_whatever_else_its_record_says(known: Caller) -> None:
    gone = {"merchantId": MERCHANT, "offerId": "ACTIVE", "offerStatus": "DELETED", "offerName": "", "note": 2**60}
    assert outcomes(send_file(known, gone))["deleted"] == ["ACTIVE"]


def test_ids_that_are_given_twice_take_nothing_down(known: Caller) -> None:
    gone = '{"merchantId":"M","offerId":"ACTIVE","offerId":"ACTIVE","offerStatus":"DELETED"}'
    header = '{"offerRecordCount":1}'
    reply = send_json(known, f'{{"header":{header},"offers":[{gone}]}}'.encode())
    assert outcomes(reply)["failed"] == [None]
