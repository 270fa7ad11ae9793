"""The ids of a merchant and of its offer, in the path and in the body."""

import http.client
import json
from itertools import permutations

import pytest

from api.http.paths import MERCHANTS_PATH
from tests.support.calls.merchants import (
    MERCHANT,
    OFFER,
    delete,
    merchant_offer,
    offer_of,
    offer_path,
    outcome_and_version,
    position,
    put,
    uid_of,
    used_quota,
)
from tests.support.harness import Caller

pytestmark = pytest.mark.usefixtures("no_rate_limit")


ODD_IDS = [
    "a/b",
    "/",
    "//",
    "a/offers/b",
    "/offers/",
    "offers",
    "offers/offers",
    "two words",
    " ",
    "\u00e1",
    "a\u0301",
    "商店",
    "😀",
    "100%",
    "%2F",
    "%252F",
    "%zz",
    "a+b",
    "a b",
    ".",
    "..",
    "../..",
    "a?b#c;d&e=f:g@h",
    '"quoted"\\',
    "'; DROP TABLE inventory; --",
    "Case",
    "case",
    "\u202e\ufeff",
    "\x7f",
    "tab\there",
    "line\nbreak",
    "end\r\n",
    "x" * 256,
    "😀" * 256,
]


@pytest.mark.parametrize("odd_id", ODD_IDS, ids=ascii)
def test_any_text_is_an_id(partner: Caller, odd_id: str) -> None:
    assert outcome_and_version(partner, put(partner, merchant=odd_id)) == ("created", 1)
    assert outcome_and_version(partner, put(partner, offer=odd_id)) == ("created", 1)
    for merchant, offer in ((odd_id, OFFER), (MERCHANT, odd_id)):
        stored_offer = offer_of(partner, merchant, offer)
        assert (stored_offer["merchantId"], stored_offer["externalId"]) == (merchant, offer)
        assert outcome_and_version(partner, delete(partner, merchant, offer)) == ("deleted", 2)


def test_different_ids_are_different_offers(partner: Caller) -> None:
    ids = [odd_id for odd_id in ODD_IDS if "\n" not in odd_id]
    before = position(partner)
    for odd_id in ids:
        assert outcome_and_version(partner, put(partner, merchant=odd_id)) == ("created", 1)
    assert position(partner) == before + len(ids)


def test_escaped_slash_in_an_id_does_not_separate_the_ids(partner: Caller) -> None:
    pairs = [("a/offers/b", "c"), ("a", "b/offers/c"), ("a/offers", "b/c"), ("a", "offers"), ("offers", "a")]
    assert {outcome_and_version(partner, put(partner, None, *pair)) for pair in pairs} == {("created", 1)}
    for one, other in permutations(pairs, 2):
        assert uid_of(*one) != uid_of(*other)


@pytest.mark.parametrize("path", ["%6Derchant/offers/%6Fffer", "merchant/%6F%66fers/offer"])
def test_unnecessary_escape_in_an_id_makes_no_difference(partner: Caller, path: str) -> None:
    """In the word `offers`, it does: then the path is not the path of an offer."""
    content = json.dumps(merchant_offer("merchant", "offer")).encode()
    reply = partner.http.put(f"{MERCHANTS_PATH}/{path}", content=content, headers={"Content-Type": "application/json"})
    assert reply.status_code == (202 if "/offers/" in path else 400)


def test_lower_case_escape_makes_no_difference(partner: Caller) -> None:
    content = json.dumps(merchant_offer("a/b")).encode()
    path = offer_path("a/b").replace("%2F", "%2f")
    reply = partner.http.put(path, content=content, headers={"Content-Type": "application/json"})
    assert outcome_and_version(partner, reply) == ("created", 1)


@pytest.mark.parametrize(("merchant", "offer"), [(".", "x"), ("..", "x"), ("x", "."), ("x", "..")])
def test_unresolved_dot_segments_are_ids(partner: Caller, merchant: str, offer: str) -> None:
    base = partner.http.base_url
    connection = http.client.HTTPConnection(base.host, base.port or 80)
    headers = {"Authorization": partner.http.headers["Authorization"], "Content-Type": "application/json"}
    content = json.dumps(merchant_offer(merchant, offer))
    connection.request("PUT", f"{MERCHANTS_PATH}/{merchant}/offers/{offer}", content, headers)
    assert connection.getresponse().status == 202
    connection.close()
    assert offer_of(partner, merchant, offer)["merchantId"] == merchant


# Invalid ids

INVALID_IDS: list[str | bytes] = [
    "",
    "x" * 257,
    "😀" * 257,
    b"\xff",
    b"\xc3",
    b"\xed\xa0\x80",
    b"a\xc0\xafb",
    "\0",
    "a\0b",
]


@pytest.mark.parametrize("invalid_id", INVALID_IDS, ids=lambda invalid_id: ascii(invalid_id)[:20])
@pytest.mark.parametrize("send", [put, delete])
@pytest.mark.parametrize("place", ["merchant", "offer"])
def test_invalid_id_is_refused_and_counted(partner: Caller, invalid_id: str | bytes, send: object, place: str) -> None:
    before, events = used_quota(partner), position(partner)
    reply = send(partner, **{place: invalid_id})  # type: ignore[operator]
    problem = reply.json()
    assert (reply.status_code, problem["type"]) == (400, "validation-error")
    assert [error["pointer"] for error in problem["errors"]] == ["/path"]
    assert (used_quota(partner), position(partner)) == (before + 1, events)


@pytest.mark.parametrize("path", ["a/b/offers/c", "a/offers/b/c", "a/offers/b/", "/a/offers/b", "a/offers/b/offers/c"])
def test_unescaped_slash_is_refused(partner: Caller, path: str) -> None:
    reply = partner.http.delete(f"{MERCHANTS_PATH}/{path}")
    assert (reply.status_code, reply.json()["errors"][0]["pointer"]) == (400, "/path")


# Path and body


@pytest.mark.parametrize(
    ("sent", "pointers"),
    [
        (merchant_offer(merchant="another"), ["/merchantId"]),
        (merchant_offer(offer="another"), ["/offerId"]),
        (merchant_offer(OFFER, MERCHANT), ["/merchantId", "/offerId"]),
        (merchant_offer(MERCHANT.lower()), ["/merchantId"]),
        (merchant_offer(f"{MERCHANT} "), ["/merchantId"]),
    ],
)
def test_ids_in_path_and_body_must_be_equal(partner: Caller, sent: object, pointers: list[str]) -> None:
    reply = put(partner, sent)
    assert reply.status_code == 400
    assert [error["pointer"] for error in reply.json()["errors"]] == pointers
    assert partner.get(f"/api/v1/offers/{uid_of()}").status_code == 404


def test_ids_are_compared_byte_for_byte(partner: Caller) -> None:
    composed, decomposed = "caf\u00e9", "cafe\u0301"
    assert put(partner, merchant_offer(composed), merchant=decomposed).status_code == 400
    assert outcome_and_version(partner, put(partner, merchant=composed)) == ("created", 1)
    assert outcome_and_version(partner, put(partner, merchant=decomposed)) == ("created", 1)
