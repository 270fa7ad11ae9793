"""Offers files that are refused as a whole, without any change (contract, sections 3, 4 and 7)."""

import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from api.http.paths import OFFERS_FILES_PATH
from api.parsing.nesting import MAX_NESTING
from api.service import Service
from api.settings import Settings
from domain.store.records.compression import compress
from domain.values import Role
from tests.support.calls.merchants import limit, position
from tests.support.calls.offers_files import (
    NAME,
    REPLAYED,
    form,
    nonzero_counts,
    offers_file,
    part,
    record,
    refusal,
    runs,
    send_bytes,
    send_form,
    send_json,
    without,
)
from tests.support.examples import batch, body, item
from tests.support.harness import Call, Caller, MakeToken
from tests.support.histories.runs import count_rows

MAX_BODY_BYTES = 200_000
MAX_ITEMS = 3

Refuse = Callable[..., tuple[str, list[str]]]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(database_url=f"sqlite:///{tmp_path}/ledger.db", max_body_bytes=MAX_BODY_BYTES, max_items=MAX_ITEMS)


@pytest.fixture
def refused(partner: Caller, service: Service) -> Refuse:
    """Sends JSON, requires its refusal without any trace, and returns the result of `refusal`."""
    limit(service)

    def refuse(status: int, sent: Any, name: str | None = NAME, **headers: str) -> tuple[str, list[str]]:
        before = position(partner)
        result = refusal(send_json(partner, sent, name, **headers), status)
        assert (position(partner), runs(partner), count_rows(service.ledger, "run_bodies")) == (before, [], 0)
        return result

    return refuse


FILE = offers_file(record("A"))
WHOLE = body(FILE)


# JSON


def test_file_that_is_not_json_is_400(refused: Refuse, subtests: pytest.Subtests) -> None:
    bodies = {
        "empty": b"",
        "cut off": WHOLE[:-1],
        "cut off within a record": WHOLE[:-200],
        "trailing data": WHOLE + b"{}",
        "trailing comma": WHOLE[:-1] + b",}",
        "not utf-8": WHOLE.replace(b"Offer A", b"\xff"),
        "utf-16": WHOLE.decode().encode("utf-16"),
        "two byte order marks": b"\xef\xbb\xbf" * 2 + WHOLE,
        "header given twice": WHOLE[:-1] + b',"header":{}}',
        "a name twice in the header": WHOLE.replace(b'"header": {', b'"header": {"offerRecordCount": 1,'),
        "offers given twice": WHOLE[:-1] + b',"offers":[]}',
        "NaN in a record": body(offers_file(record("A", note=float("nan")))),
        "deep envelope": WHOLE[:-1] + b',"note":' + b"[" * MAX_NESTING + b"]" * MAX_NESTING + b"}",
    }
    for name, content in bodies.items():
        with subtests.test(name):
            assert refused(400, content) == ("not-json", [])


def test_form_with_a_file_that_is_not_json_is_400(partner: Caller) -> None:
    for content in (b"", WHOLE[:-1], b"\xff"):
        assert refusal(send_form(partner, content), 400) == ("not-json", [])
    assert runs(partner) == []


# The envelope


COUNT = "/header/offerRecordCount"
ENVELOPES: list[tuple[Any, list[str]]] = [
    (without(FILE, "header"), ["/header"]),
    (without(FILE, "offers"), ["/offers"]),
    ({}, ["/header", "/offers"]),
    (batch("Insert", [item()]), ["/header"]),
    (FILE | {"header": None}, ["/header"]),
    (FILE | {"header": [1]}, ["/header"]),
    (FILE | {"header": {}}, [COUNT]),
    (FILE | {"offers": None}, ["/offers"]),
    (FILE | {"offers": {"A": record("A")}}, ["/offers"]),
    (FILE | {"offers": "[]"}, ["/offers"]),
    (offers_file(record("A"), offerRecordCount=0), [COUNT]),
    (offers_file(record("A"), offerRecordCount=2), [COUNT]),
    (offers_file(record("A"), record("A"), offerRecordCount=1), [COUNT]),
    (offers_file(offerRecordCount=1), [COUNT]),
    (offers_file(record("A"), offerRecordCount="1"), [COUNT]),
    (offers_file(record("A"), offerRecordCount=True), [COUNT]),
    (offers_file(record("A"), offerRecordCount=1.5), [COUNT]),
    (offers_file(record("A"), offerRecordCount=-1), [COUNT]),
    (offers_file(record("A"), offerRecordCount=None), [COUNT]),
    (offers_file(record("A"), offerRecordCount=2**60), [COUNT]),
    (offers_file(record("A"), fileCreationDate=20261122), ["/header/fileCreationDate"]),
    (offers_file(record("A"), fileDescription=1), ["/header/fileDescription"]),
    (offers_file(*[record("A")] * (MAX_ITEMS + 1)), ["/offers"]),
]


@pytest.mark.parametrize(("sent", "pointers"), ENVELOPES)
def test_invalid_envelope_refuses_the_whole_file(refused: Refuse, sent: dict[str, Any], pointers: list[str]) -> None:
    assert refused(422, sent) == ("validation-error", pointers)


def test_wrong_count_is_reported_with_the_right_one(partner: Caller) -> None:
    (error,) = send_json(partner, offers_file(record("A"), offerRecordCount=7)).json()["errors"]
    assert error["message"] == "must equal the number of records, which is 1"


@pytest.mark.parametrize("sent", [b"[]", b"null", b'"file"', b"[" + WHOLE + b"]"])
def test_json_that_is_not_an_object_is_422(refused: Refuse, sent: bytes) -> None:
    assert refused(422, sent) == ("validation-error", [""])


def test_refused_file_may_be_corrected_and_sent(partner: Caller, refused: Refuse) -> None:
    refused(422, offers_file(record("A"), offerRecordCount=2))
    reply = send_json(partner, FILE)
    assert (nonzero_counts(reply), REPLAYED in reply.headers) == ({"created": 1}, False)


def test_refusal_never_repeats_sent_values(partner: Caller) -> None:
    secret = "s3cret"
    documents = [FILE | {"offers": secret}, FILE | {"header": secret}, offers_file(offerRecordCount=secret)]
    replies = [send_json(partner, document) for document in documents]
    replies += [send_json(partner, FILE, secret), send_form(partner, FILE, secret), send_json(partner, secret.encode())]
    assert {reply.status_code for reply in replies} == {422, 400}
    assert [reply.text for reply in replies if secret in reply.text] == []


# The name


@pytest.mark.parametrize(
    "name",
    [
        "offers.json",
        "Offers20261122.json",
        "TidepoolOffers20261122.JSON",
        "TidepoolOffers20261122.json.gz",
        "TidepoolOffers20261122",
        "TidepoolOffers2026112.json",
        "TidepoolOffers202611220.json",
        "TidepoolOffers20261131.json",
        "TidepoolOffers00001122.json",
        "TidepoolOffers2026-11-22.json",
        "TidepoolOffers\u0662\u0660\u0662\u0666\u0661\u0661\u0662\u0662.json",
        "../TidepoolOffers20261122.json",
        "in/TidepoolOffers20261122.json",
        "a\\TidepoolOffers20261122.json",
        "Tidepool\nOffers20261122.json",
        "Tidepool\0Offers20261122.json",
        "TidepoolOffers20261122.json\n",
        " ",
        f"{'x' * 101}Offers20261122.json",
    ],
)
def test_invalid_file_name_refuses_the_whole_file(refused: Refuse, name: str) -> None:
    assert refused(422, WHOLE, name) == ("validation-error", ["/name"])


@pytest.mark.parametrize("name", ["xOffers20240229.json", "Tide pool 1.2 — Läden OffersOffers20261122.json"])
def test_file_name_may_start_with_any_partner_name(partner: Caller, name: str) -> None:
    reply = send_json(partner, WHOLE, name)
    assert (reply.status_code, reply.json()["fileName"]) == (200, name)


def test_json_body_needs_a_name_and_a_form_refuses_it(refused: Refuse, partner: Caller) -> None:
    assert refused(422, WHOLE, None) == ("validation-error", ["/query/name"])
    reply = partner.http.post(OFFERS_FILES_PATH, params={"name": NAME}, files={"file": (NAME, WHOLE)})
    assert refusal(reply, 422) == ("validation-error", ["/query/name"])


@pytest.mark.parametrize(
    ("query", "place"),
    [
        ("name=", "/query/name"),
        (f"name={'x' * 257}", "/query/name"),
        (f"name={NAME}&name={NAME}", "/query/name"),
        (f"name={NAME}&partner=harbor", "/query/partner"),
        (f"name={NAME}&date=20261122", "/query/date"),
    ],
)
def test_other_query_is_refused(partner: Caller, query: str, place: str) -> None:
    headers = {"Content-Type": "application/json"}
    reply = partner.http.post(f"{OFFERS_FILES_PATH}?{query}", content=WHOLE, headers=headers)
    assert refusal(reply, 422) == ("validation-error", [place])
    assert runs(partner) == []


def test_form_takes_no_query(partner: Caller) -> None:
    reply = partner.http.post(OFFERS_FILES_PATH, params={"dry": "1"}, files={"file": (NAME, WHOLE)})
    assert refusal(reply, 422) == ("validation-error", ["/query/dry"])


# The media type, the coding and the size


@pytest.mark.parametrize(
    "kind", ["text/plain", "text/json", "multipart/mixed; boundary=x", "application/json; charset=utf-16", "", "x"]
)
def test_other_media_type_is_415(refused: Refuse, kind: str) -> None:
    assert refused(415, WHOLE, Content_Type=kind) == ("unsupported-media-type", [])


def test_media_types_may_be_spelt_in_many_ways(partner: Caller) -> None:
    for kind in ("application/json", "Application/JSON;charset=UTF-8"):
        assert send_json(partner, WHOLE, Content_Type=kind).status_code == 200
    for kind in ('Multipart/Form-Data; boundary="x y"', "multipart/form-data ;charset=utf-8; Boundary=x y"):
        assert send_bytes(partner, form(part(WHOLE), boundary="x y"), kind).status_code == 200


@pytest.mark.parametrize(("coding", "encode"), [("gzip", gzip.compress), ("zstd", compress)])
def test_json_may_be_compressed(partner: Caller, coding: str, encode: Callable[[bytes], bytes]) -> None:
    first = send_json(partner, encode(WHOLE), Content_Encoding=coding)
    repeated = send_form(partner, WHOLE)
    assert (nonzero_counts(first), repeated.content, repeated.headers[REPLAYED]) == (
        {"created": 1},
        first.content,
        "true",
    )


@pytest.mark.parametrize("coding", ["br", "deflate", "gzip, gzip"])
def test_other_coding_is_415(refused: Refuse, coding: str) -> None:
    assert refused(415, WHOLE, Content_Encoding=coding) == ("unsupported-media-type", [])


def test_file_over_the_limit_is_413_in_every_form(refused: Refuse) -> None:
    too_large = WHOLE.ljust(MAX_BODY_BYTES + 1)
    assert refused(413, too_large) == ("content-too-large", [])
    assert refused(413, iter([WHOLE, b" " * MAX_BODY_BYTES])) == ("content-too-large", [])
    assert refused(413, gzip.compress(too_large), Content_Encoding="gzip") == ("content-too-large", [])


def test_file_at_the_limits_is_accepted(partner: Caller) -> None:
    records = [record(f"A-{n}") for n in range(MAX_ITEMS)]
    reply = send_json(partner, body(offers_file(*records)).ljust(MAX_BODY_BYTES))
    assert nonzero_counts(reply) == {"created": MAX_ITEMS}


# Callers


@pytest.mark.parametrize("role", [Role.AUDITOR, Role.PUBLISHER, Role.OPERATOR])
def test_only_partners_may_send_files(call: Call, token: MakeToken, role: Role) -> None:
    assert refusal(send_form(call(token(role)), WHOLE), 403) == ("forbidden", [])


def test_caller_is_checked_before_the_body(call: Call, token: MakeToken) -> None:
    for secret, status in ((None, 401), ("unknown", 401), (token(Role.AUDITOR), 403)):
        caller = call(secret)
        assert send_json(caller, b"{", "odd").status_code == status
        assert caller.http.post(f"{OFFERS_FILES_PATH}?odd=1", content=b"").status_code == status
        assert send_bytes(caller, b"", "multipart/form-data").status_code == status


def test_post_is_the_only_method(partner: Caller) -> None:
    assert {partner.http.request(method, OFFERS_FILES_PATH).status_code for method in ("GET", "PUT", "DELETE")} == {405}
