"""Invalid records of an offers file, and the valid records beside them (contract, section 4)."""

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
def _no_rate_limit(service: Service) -> None:
    limit(service)


@pytest.fixture
def known(partner: Caller) -> Caller:
    """A partner with an active offer named ACTIVE."""
    assert put(partner, content(record("ACTIVE")), offer="ACTIVE").status_code == 202
    return partner


def test_records_of_the_same_offer_all_fail(known: Caller) -> None:
    copies = [record("ACTIVE", offerName="Another"), record("ACTIVE", "DELETED"), record("FRESH"), record("FRESH")]
    reply = send_file(known, *copies, record("B"))
    assert outcomes(reply) == {"created": ["B"], "failed": ["ACTIVE", "ACTIVE", "FRESH", "FRESH"]}
    assert messages(reply)["FRESH"] == ["merchantId, offerId: occurs 2 times in this file"]
    assert inventory(known) == {"ACTIVE": ("active", 1), "B": ("active", 1)}


def test_invalid_copy_of_a_record_fails_the_valid_one_too(partner: Caller) -> None:
    reply = send_file(partner, record("A"), record("A", offerName=""), record("B"))
    assert outcomes(reply) == {"created": ["B"], "failed": ["A", "A"]}


LARGE = {"large": {"url": "https://img.example/1.png", "content": "AAAA"}}
BROKEN: dict[str, tuple[Any, str | None, list[str]]] = {
    "no name": (without(record("F"), "offerName"), "F", ["offerName: required"]),
    "an empty name": (record("F", offerName=""), "F", ["offerName: must not be empty"]),
    "a name that is not a string": (record("F", offerName=1), "F", ["offerName: must be a string"]),
    "no assets": (record("F", assets=None), "F", ["assets: must be an object"]),
    "an asset of another type": (
        record("F", assets=record("F")["assets"] | {"logo": {"type": "GIF", "value": LARGE}}),
        "F",
        ["assets.logo.type: must be IMAGE", "assets.logo.value.large: must have exactly one of url and content"],
    ),
    "no id": (without(record("F"), "offerId"), None, ["offers[1].offerId: required"]),
    "an id that is not a string": (record(7), None, ["offers[1].offerId: must be a string"]),
    "an empty id": (record(""), None, ["offers[1].offerId: must not be empty"]),
    "a long id": (record("F" * 257), None, ["offers[1].offerId: must have at most 256 characters"]),
    "a deleted one without its id": (
        {"offerStatus": "DELETED", "merchantId": MERCHANT},
        None,
        ["offers[1].offerId: required"],
    ),
    "not an object": (5, None, ["offers[1]: must be an object"]),
    "a number out of range": (
        record("F", offerName=2**53),
        "F",
        ["offerName: must be a number between -(2^53-1) and 2^53-1"],
    ),
    "an integer of too many digits": (
        record("F", terms={"cap": 10**40}),
        "F",
        ["terms.cap: must be an integer of at most 40 digits"],
    ),
    "a character that cannot be stored": (
        record("F", offerName="a\0"),
        "F",
        ["offerName: must not contain the character U+0000"],
    ),
    "a lone surrogate": (record("F", note="\ud800"), "F", ["note: must not contain a lone surrogate"]),
}


@pytest.mark.parametrize(("sent", "offer", "expected"), BROKEN.values(), ids=BROKEN)
def test_invalid_record_is_skipped_and_its_field_named(
    partner: Caller, sent: Any, offer: str | None, expected: list[str]
) -> None:
    reply = send_file(partner, record("A"), sent, record("B"))
    assert outcomes(reply) == {"created": ["A", "B"], "failed": [offer]}
    assert messages(reply) == {offer: expected}
    assert inventory(partner) == {"A": ("active", 1), "B": ("active", 1)}


def test_record_with_a_duplicate_member_name_fails(partner: Caller) -> None:
    twice = body(offers_file(record("A"), record("F"))).replace(
        b'"offerName": "Offer F"', b'"offerName": "1", "offerName": "2"'
    )
    assert messages(send_json(partner, twice)) == {"F": ["offerName: duplicate member name"]}


def test_invalid_status_is_reported_with_all_valid_statuses(partner: Caller) -> None:
    others = [None, "", "new", "GONE", 1, ["NEW"], {"NEW": 1}]
    records = [record(f"F-{n}", status) for n, status in enumerate(others)]
    errors = messages(send_file(partner, *records, without(record("G"), "offerStatus")))
    assert errors.pop("G") == ["offerStatus: required"]
    assert list(errors.values()) == [["offerStatus: must be NEW, UPDATED, UPSERT, NO-CHANGE or DELETED"]] * len(others)


def test_file_with_only_invalid_records_changes_nothing(known: Caller) -> None:
    before = position(known)
    reply = send_file(known, record("ACTIVE", offerName=""), 5)
    assert nonzero_counts(reply) == {"failed": 2}
    assert position(known) == before


def test_long_list_of_problems_is_cut(partner: Caller) -> None:
    (errors,) = messages(send_file(partner, record("F", **{f"n{n}": 10**40 for n in range(30)}))).values()
    assert (len(errors), errors[-1]) == (11, "there are more problems")


def test_record_with_the_status_deleted_ignores_other_fields(known: Caller) -> None:
    deleted = {"merchantId": MERCHANT, "offerId": "ACTIVE", "offerStatus": "DELETED", "offerName": "", "note": 10**40}
    assert outcomes(send_file(known, deleted))["deleted"] == ["ACTIVE"]


def test_duplicate_ids_delete_nothing(known: Caller) -> None:
    deleted = '{"merchantId":"M","offerId":"ACTIVE","offerId":"ACTIVE","offerStatus":"DELETED"}'
    header = '{"offerRecordCount":1}'
    reply = send_json(known, f'{{"header":{header},"offers":[{deleted}]}}'.encode())
    assert outcomes(reply)["failed"] == [None]
