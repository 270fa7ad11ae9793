"""Refusals of single requests. They have the members of a problem and of the merchant document, and are counted."""

import json
from pathlib import Path
from typing import Any

import httpx2
import pytest

from api.http.problems import MEDIA_TYPE
from api.parsing.strict_json import TOO_DEEP
from api.service import Service
from api.settings import Settings
from domain.values import Role
from tests.support.calls.merchants import (
    MERCHANT,
    SEED_SAMPLE,
    delete,
    limit,
    merchant_offer,
    offer_path,
    position,
    put,
    used_quota,
)
from tests.support.harness import Call, Caller, MakeToken

pytestmark = pytest.mark.usefixtures("no_rate_limit")

PROBLEM_MEMBERS = {"type", "title", "status", "detail", "instance", "errors", "traceId"}
VENDOR_MEMBERS = {"message", "trace_id"}
MAX_OFFER_BYTES = 20_000
SECRET = "s3cret"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(database_url=f"sqlite:///{tmp_path}/ledger.db", max_offer_bytes=MAX_OFFER_BYTES)


def require_both_documents(reply: httpx2.Response, status: int) -> dict[str, Any]:
    problem: dict[str, Any] = reply.json()
    assert reply.status_code == status, reply.text
    assert reply.headers["Content-Type"] == MEDIA_TYPE
    assert set(problem) - {"limit"} == PROBLEM_MEMBERS | VENDOR_MEMBERS
    assert problem["status"] == status
    assert problem["trace_id"] == problem["traceId"]
    assert problem["message"]
    return problem


def refused(caller: Caller, status: int, sent: Any, **more: Any) -> dict[str, Any]:
    """Sends a PUT, and requires that it is refused, counted and changes nothing."""
    before = position(caller), used_quota(caller), rows(caller)
    reply = put(caller, sent, **more)
    problem = require_both_documents(reply, status)
    assert "Location" not in reply.headers
    assert (position(caller), used_quota(caller), rows(caller)) == (before[0], before[1] + 1, before[2])
    return problem


def rows(caller: Caller) -> Any:
    return caller.get("/api/v1/offers").json()["items"]


def asset(large: Any, **changes: Any) -> dict[str, Any]:
    sent = merchant_offer()
    sent["assets"]["logo"] = {"type": "IMAGE", "value": {"large": large}, **changes}
    return sent


def without(*path: str) -> dict[str, Any]:
    sent = merchant_offer()
    parent: Any = sent
    *parent_names, last = path
    for name in parent_names:
        parent = parent[name]
    del parent[last]
    return sent


LARGE = "/assets/logo/value/large"
BROKEN: list[tuple[dict[str, Any], str]] = [
    *((without(name), f"/{name}") for name in ("offerId", "merchantId", "offerName", "assets")),
    *((without("assets", name), f"/assets/{name}") for name in ("logo", "largeRectangle")),
    (without("assets", "largeRectangle", "type"), "/assets/largeRectangle/type"),
    (without("assets", "logo", "value"), "/assets/logo/value"),
    (without("assets", "logo", "value", "large"), LARGE),
    (merchant_offer(offerName=""), "/offerName"),
    (merchant_offer(offerName=None), "/offerName"),
    (merchant_offer(offerName=7), "/offerName"),
    (merchant_offer(assets=[]), "/assets"),
    (merchant_offer(offer=""), "/offerId"),
    (merchant_offer("another"), "/merchantId"),
    (merchant_offer(offer="another"), "/offerId"),
    (merchant_offer() | {"merchantId": 310}, "/merchantId"),
    (asset({}), LARGE),
    (asset({"url": "https://a.example", "content": "QQ=="}), LARGE),
    (asset({"url": None}), LARGE),
    (asset({"url": 7}), f"{LARGE}/url"),
    (asset({"content": ""}), f"{LARGE}/content"),
    (asset({"url": "https://a.example"}, type="VIDEO"), "/assets/logo/type"),
    (merchant_offer(note="\0"), "/note"),
    (merchant_offer(note={"deep": ["\ud800"]}), "/note/deep/0"),
    (merchant_offer(note=10**40), "/note"),
    (merchant_offer(offerName=2**53), "/offerName"),
]


def test_invalid_field_is_400_and_is_named(partner: Caller, subtests: pytest.Subtests) -> None:
    put(partner)
    for sent, pointer in BROKEN:
        with subtests.test(pointer):
            problem = refused(partner, 400, sent)
            assert problem["type"] == "validation-error"
            assert pointer in {error["pointer"] for error in problem["errors"]}
            assert pointer.split("/")[1] in problem["message"]


def test_every_broken_rule_is_reported(partner: Caller) -> None:
    sent = asset({}) | {"offerName": "", "offerId": 1}
    problem = refused(partner, 400, sent)
    assert {error["pointer"] for error in problem["errors"]} == {"/offerName", "/offerId", LARGE}
    assert all(error["message"] in problem["message"] for error in problem["errors"])


def test_duplicate_member_name_is_400(partner: Caller) -> None:
    text = json.dumps(merchant_offer(note="x"))
    problem = refused(partner, 400, f'{text[:-1]}, "note": 1}}'.encode())
    assert problem["errors"][0]["pointer"] == "/note"


def test_body_that_is_not_json_is_400(partner: Caller, subtests: pytest.Subtests) -> None:
    whole = json.dumps(merchant_offer()).encode()
    bodies = {
        "empty": b"",
        "cut off": whole[:-1],
        "trailing data": whole + b"{}",
        "trailing comma": whole[:-1] + b",}",
        "not utf-8": whole[:-1] + b',"note":"\xff"}',
        "utf-16": whole.decode().encode("utf-16"),
        "two byte order marks": b"\xef\xbb\xbf" * 2 + whole,
        "NaN": whole[:-1] + b',"note":NaN}',
    }
    for name, content in bodies.items():
        with subtests.test(name):
            assert refused(partner, 400, content)["type"] == "not-json"


@pytest.mark.parametrize("depth", [64, 900, 9_000])
def test_offer_nested_too_deeply_is_400(partner: Caller, depth: int) -> None:
    whole = json.dumps(merchant_offer()).encode()
    problem = refused(partner, 400, whole[:-1] + b',"note":' + b"[" * depth + b"]" * depth + b"}")
    assert (problem["type"], problem["errors"][0]["message"]) == ("validation-error", TOO_DEEP)


@pytest.mark.parametrize("sent", [b"[]", b"null", b'"offer"', b"7", json.dumps([merchant_offer()]).encode()])
def test_json_that_is_not_an_object_is_400(partner: Caller, sent: bytes) -> None:
    assert refused(partner, 400, sent)["message"] == "the body must be a JSON object"


def test_other_media_type_is_415(partner: Caller, subtests: pytest.Subtests) -> None:
    for media_type in ("text/plain", "application/xml", "application/json-patch+json", "application/jsonx", "", None):
        with subtests.test(str(media_type)):
            assert refused(partner, 415, None, content_type=media_type)["type"] == "unsupported-media-type"


@pytest.mark.parametrize("charset", ["utf-16", "latin-1"])
def test_other_charset_is_415(partner: Caller, charset: str) -> None:
    refused(partner, 415, None, content_type=f"application/json; charset={charset}")


@pytest.mark.parametrize("coding", ["gzip", "br", "zstd", "x-unknown"])
def test_encoded_body_is_415(partner: Caller, coding: str) -> None:
    refused(partner, 415, None, Content_Encoding=coding)


@pytest.mark.parametrize(
    "kind",
    ["application/json", "Application/JSON", "application/json;charset=UTF-8", 'application/json; charset="utf-8"'],
)
def test_media_type_of_json_may_be_spelt_in_many_ways(partner: Caller, kind: str) -> None:
    assert put(partner, content_type=kind).status_code == 202


def test_body_that_is_too_large_is_413(partner: Caller) -> None:
    sent = json.dumps(merchant_offer()).encode()
    problem = refused(partner, 413, sent.ljust(MAX_OFFER_BYTES + 1))
    assert problem["type"] == "content-too-large"
    assert "OFFER_LEDGER_MAX_OFFER_BYTES" in problem["detail"]


def test_refusal_never_repeats_sent_values(partner: Caller, subtests: pytest.Subtests) -> None:
    bodies: list[Any] = [
        merchant_offer(SECRET),
        merchant_offer(offer=SECRET),
        merchant_offer(assets=SECRET),
        merchant_offer() | {"offerName": [SECRET]},
        asset({"url": [SECRET]}),
        asset({"url": SECRET, "content": SECRET}),
        asset({"url": "https://a.example"}, type=SECRET),
        f'{{"offerName": {SECRET}}}'.encode(),
        f'"{SECRET}"'.encode(),
    ]
    for sent in bodies:
        with subtests.test(str(sent)):
            reply = put(partner, sent)
            assert reply.status_code == 400
            assert SECRET not in reply.text


def test_warnings_never_repeat_sent_values(partner: Caller) -> None:
    reply = put(partner, asset({"url": SECRET}))
    trace = partner.get(reply.headers["Location"])
    assert trace.json()["warnings"]
    assert SECRET not in trace.text


def test_refused_put_does_not_change_the_offer(partner: Caller) -> None:
    put(partner)
    before = rows(partner)
    refused(partner, 400, merchant_offer(offerName=""))
    refused(partner, 415, SEED_SAMPLE, content_type="text/plain")
    assert rows(partner) == before


def test_trace_id_of_the_client_is_in_both_documents(partner: Caller) -> None:
    traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    problem = refused(partner, 400, b"", traceparent=traceparent)
    assert problem["trace_id"] == "0af7651916cd43dd8448eb211c80319c"


def test_query_parameter_is_refused_and_counted(partner: Caller) -> None:
    before = used_quota(partner)
    reply = partner.http.delete(f"{offer_path()}?a=1&a=2")
    require_both_documents(reply, 400)
    assert used_quota(partner) == before + 1


# Callers, and the order of checks


@pytest.mark.parametrize("send", [put, delete])
@pytest.mark.parametrize("secret", [None, "unknown"])
def test_request_without_a_valid_token_is_401(call: Call, send: Any, secret: str | None) -> None:
    reply = send(call(secret))
    problem = require_both_documents(reply, 401)
    assert problem["type"] == "unauthorized"
    assert "ApiToken" in reply.headers["WWW-Authenticate"]


@pytest.mark.parametrize("send", [put, delete])
@pytest.mark.parametrize("role", [Role.PUBLISHER, Role.AUDITOR, Role.OPERATOR])
def test_request_with_another_role_is_403(call: Call, token: MakeToken, send: Any, role: Role) -> None:
    assert require_both_documents(send(call(token(role))), 403)["type"] == "forbidden"


def test_caller_is_checked_before_everything_else(call: Call, token: MakeToken) -> None:
    for caller, status in ((call(None), 401), (call(token(Role.AUDITOR)), 403)):
        assert put(caller, b"", merchant=b"\xff", content_type="text/plain").status_code == status


def test_quota_is_checked_before_the_body(partner: Caller, service: Service) -> None:
    limit(service, daily_quota=1)
    put(partner)
    for more in ({"content_type": "text/plain"}, {"merchant": b"\xff"}, {"sent": b"{"}):
        problem = require_both_documents(put(partner, **more), 429)
        assert problem["limit"] == "daily"
    assert put(partner, b" " * (MAX_OFFER_BYTES + 1)).status_code == 429


def test_rate_is_checked_before_the_quota(partner: Caller, service: Service) -> None:
    limit(service, rps=1, daily_quota=1)
    limits = [put(partner).json().get("limit") for _ in range(12)]
    assert set(limits) <= {None, "rps", "daily"}
    assert "rps" in limits


def test_media_type_and_size_are_checked_before_the_json(partner: Caller) -> None:
    refused(partner, 415, b"{", content_type="text/plain")
    refused(partner, 413, b"{" * (MAX_OFFER_BYTES + 1))
    refused(partner, 415, merchant_offer("another"), content_type="text/plain")


@pytest.mark.parametrize("no_id", [b"\xff", "x" * 257, ""])
def test_media_type_and_size_are_checked_before_the_path(partner: Caller, no_id: str | bytes) -> None:
    refused(partner, 415, None, content_type="text/plain", merchant=no_id)
    refused(partner, 413, b" " * (MAX_OFFER_BYTES + 1), merchant=no_id)


def test_json_syntax_is_checked_before_the_fields(partner: Caller) -> None:
    assert refused(partner, 400, b'{"offerName": ""', merchant=MERCHANT)["type"] == "not-json"
