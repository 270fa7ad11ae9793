"""Batches that are refused as a whole. A refusal has the members of a problem and of the batch document."""

import gzip
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx2
import pytest

from api.http.paths import BATCH_PATH
from api.http.problems import MEDIA_TYPE
from api.parsing.nesting import MAX_NESTING
from api.settings import Settings
from domain.values import Role
from tests.support.examples import batch, body, item
from tests.support.harness import Call, Caller, MakeToken

PROBLEM_MEMBERS = {"type", "title", "status", "detail", "instance", "errors", "traceId"}
VENDOR_MEMBERS = {"responseId", "isSuccessful", "responseTitle", "responseType", "messages", "data"}
MAX_BODY_BYTES = 50_000
MAX_ITEMS = 3
REMOVED = object()


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(database_url=f"sqlite:///{tmp_path}/ledger.db", max_body_bytes=MAX_BODY_BYTES, max_items=MAX_ITEMS)


@pytest.fixture
def refused(partner: Caller) -> Callable[..., dict[str, Any]]:
    """Sends a body, requires its refusal without any change, and returns the problem."""

    def refuse(status: int, content: Any, **headers: str) -> dict[str, Any]:
        before = partner.get("/api/v1/offers").json()
        reply = partner.send(content, **headers)
        assert reply.status_code == status
        assert partner.get("/api/v1/offers").json() == before
        return require_both_documents(reply)

    return refuse


Refuse = Callable[..., dict[str, Any]]


def require_both_documents(reply: httpx2.Response) -> dict[str, Any]:
    document: dict[str, Any] = reply.json()
    assert reply.headers["content-type"] == MEDIA_TYPE
    assert set(document) == PROBLEM_MEMBERS | VENDOR_MEMBERS
    assert document["status"] == reply.status_code
    assert document["instance"] == BATCH_PATH
    UUID(document["responseId"])
    assert document["isSuccessful"] is False
    assert document["messages"]
    assert document["data"] is None
    return document


def envelope(**changes: Any) -> bytes:
    """Returns a valid batch with these members replaced. The value REMOVED removes a member."""
    members = batch("Insert", [item()]) | changes
    return body({name: value for name, value in members.items() if value is not REMOVED})


def test_body_that_is_not_json_is_400(refused: Refuse, subtests: pytest.Subtests) -> None:
    whole = envelope()
    bodies = {
        "empty": b"",
        "cut off": whole[:-1],
        "trailing data": whole + b"{}",
        "trailing comma": whole[:-1] + b",}",
        "not utf-8": whole[:-1] + b',"note":"\xff"}',
        "utf-16": whole.decode().encode("utf-16"),
        "two byte order marks": b"\xef\xbb\xbf" * 2 + whole,
        "name given twice": whole[:-1] + b',"operation":"Insert"}',
        "offers given twice": whole[:-1] + b',"offers":[]}',
        "NaN in an item": envelope(offers=[item(extra=float("nan"))]),
        "infinity in the envelope": envelope(note=float("inf")),
        "deep envelope": whole[:-1] + b',"note":' + b"[" * MAX_NESTING + b"]" * MAX_NESTING + b"}",
        "very deep envelope": whole[:-1] + b',"note":' + b"[" * 9_000 + b"]" * 9_000 + b"}",
    }
    for name, content in bodies.items():
        with subtests.test(name):
            assert refused(400, content)["errors"] == []


BROKEN_ENVELOPES: list[tuple[dict[str, Any], list[str]]] = [
    ({"operation": REMOVED}, ["operation: required"]),
    ({"concurrencyRequestId": REMOVED}, ["concurrencyRequestId: required"]),
    ({"offers": REMOVED}, ["offers: required"]),
    ({"operation": "Delete"}, ["operation: must be Synchronize or Insert"]),
    ({"operation": "insert"}, ["operation: must be Synchronize or Insert"]),
    ({"operation": None}, ["operation: must be Synchronize or Insert"]),
    ({"operation": 1}, ["operation: must be Synchronize or Insert"]),
    ({"concurrencyRequestId": "tonight"}, ["concurrencyRequestId: must be a UUID"]),
    ({"concurrencyRequestId": str(UUID(int=0))}, ["concurrencyRequestId: must not be the nil UUID"]),
    ({"concurrencyRequestId": ""}, ["concurrencyRequestId: must be a UUID"]),
    ({"concurrencyRequestId": uuid4().hex}, ["concurrencyRequestId: must be a UUID"]),
    ({"concurrencyRequestId": f"{{{uuid4()}}}"}, ["concurrencyRequestId: must be a UUID"]),
    ({"concurrencyRequestId": f"{uuid4()}\n"}, ["concurrencyRequestId: must be a UUID"]),
    ({"concurrencyRequestId": None}, ["concurrencyRequestId: must be a string"]),
    ({"concurrencyRequestId": 2**60}, ["concurrencyRequestId: must be a string"]),
    ({"offers": []}, ["offers: must have at least 1 element"]),
    ({"offers": None}, ["offers: must be an array"]),
    ({"offers": item()}, ["offers: must be an array"]),
    ({"offers": "TP-1"}, ["offers: must be an array"]),
    (
        {"offers": [item()] * (MAX_ITEMS + 1)},
        [f"offers: must have at most {MAX_ITEMS} elements (OFFER_LEDGER_MAX_ITEMS)"],
    ),
    ({"operation": REMOVED, "offers": REMOVED}, ["operation: required", "offers: required"]),
]


def test_envelope_that_breaks_a_rule_is_422(refused: Refuse, subtests: pytest.Subtests) -> None:
    for changes, messages in BROKEN_ENVELOPES:
        with subtests.test(str(changes)):
            document = refused(422, envelope(**changes))
            assert (document["type"], document["responseType"]) == ("validation-error", "ValidationError")
            assert document["messages"] == messages
            assert [f"{error['pointer'][1:]}: {error['message']}" for error in document["errors"]] == messages


def test_json_that_is_not_an_object_is_422(refused: Refuse, subtests: pytest.Subtests) -> None:
    for content in (b"[]", b"null", b'"Insert"', b"[" + envelope() + b"]"):
        with subtests.test(content[:10].decode()):
            assert refused(422, content)["messages"] == ["the body must be a JSON object"]


def test_text_that_cannot_be_stored_is_422(refused: Refuse, subtests: pytest.Subtests) -> None:
    for name, text in product(("operation", "concurrencyRequestId", "offers"), ("\0", "\ud800")):
        with subtests.test(f"{name} {text!r}"):
            assert refused(422, envelope(**{name: text}))["errors"][0]["pointer"] == f"/{name}"


def test_refusal_never_repeats_sent_values(refused: Refuse) -> None:
    for name in ("operation", "concurrencyRequestId", "offers"):
        assert "s3cret" not in str(refused(422, envelope(**{name: "s3cret"})))


def test_other_media_type_is_415(refused: Refuse, subtests: pytest.Subtests) -> None:
    others = ("text/plain", "text/json", "application/xml", "application/json-patch+json", "multipart/form-data", "")
    for media_type in (*others, "application/json; charset=utf-16", "application/json; charset=latin-1"):
        with subtests.test(media_type):
            refused(415, envelope(), Content_Type=media_type)


def test_missing_media_type_is_415(partner: Caller) -> None:
    reply = partner.http.post(BATCH_PATH, content=envelope())
    assert reply.status_code == 415
    require_both_documents(reply)


def test_media_type_of_json_may_be_spelt_in_many_ways(partner: Caller, subtests: pytest.Subtests) -> None:
    kinds = (
        "application/json",
        "Application/JSON",
        "application/json;charset=UTF-8",
        'application/json; charset="utf-8"',
    )
    for media_type in kinds:
        with subtests.test(media_type):
            assert partner.send(envelope(), Content_Type=media_type).status_code == 200


def test_unknown_coding_is_415(refused: Refuse, subtests: pytest.Subtests) -> None:
    for coding in ("br", "deflate", "x-unknown"):
        with subtests.test(coding):
            refused(415, envelope(), Content_Encoding=coding)


def test_compressed_body_is_decompressed(partner: Caller) -> None:
    packed = gzip.compress(envelope())
    reply = partner.send(packed, Content_Encoding="gzip")
    assert (reply.status_code, reply.json()["data"]["counts"]["created"]) == (200, 1)


def test_body_over_the_limit_is_413(refused: Refuse) -> None:
    refused(413, envelope().ljust(MAX_BODY_BYTES + 1))


def test_body_over_the_limit_without_content_length_is_413(refused: Refuse) -> None:
    refused(413, iter([envelope(), b" " * MAX_BODY_BYTES]))


def test_body_and_number_of_items_at_the_limits_are_accepted(partner: Caller) -> None:
    assert partner.send(envelope(offers=[item()] * MAX_ITEMS).ljust(MAX_BODY_BYTES)).status_code == 200


# The order of checks


def test_caller_is_checked_before_the_body(call: Call, token: MakeToken) -> None:
    assert call(None).send(b"", Content_Type="text/plain").status_code == 401
    assert call(token(Role.AUDITOR)).send(b"", Content_Type="text/plain").status_code == 403


def test_media_type_is_checked_before_the_json(refused: Refuse) -> None:
    refused(415, b"{", Content_Type="text/plain")


def test_size_is_checked_before_the_json(refused: Refuse) -> None:
    refused(413, b"{" * (MAX_BODY_BYTES + 1))
