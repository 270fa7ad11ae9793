"""Replies to random requests conform to the OpenAPI document, and are never a 5xx."""

import json
from http import HTTPStatus
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import positive_data_acceptance

from api.http.problems import MEDIA_TYPE
from api.server.shutdown import ShutdownSignal
from domain.store.records.compression import compress
from domain.values import Role
from tests.support.engine import examples
from tests.support.examples import batch, body, item
from tests.support.harness import Call, Caller, MakeToken

EXAMPLES = examples(60)
EXAMPLES_PER_OPERATION = examples(15)
# A cursor is valid only for the list that returned it, which JSON Schema cannot express.
EXCLUDED_CHECKS = [positive_data_acceptance]
# 409: a run may still be in progress, after a request that did not wait for it, when the next request comes.
STATUSES = {200, 202, 400, 409, 413, 415, 422}
VENDOR_MEMBERS = {"responseId", "isSuccessful", "responseTitle", "responseType", "messages", "data"}
PROBLEM_MEMBERS = {"type", "title", "status", "detail", "instance", "errors", "traceId"}

thorough = settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))


def operations(caller: Caller) -> list[Any]:
    document = caller.get("/api/v1/openapi.json").json()
    results = schemathesis.openapi.from_dict(document).get_all_operations()
    return [operation.ok() for operation in results if isinstance(operation, Ok)]


def count_tried(operation: Any, caller: Caller) -> int:
    tried = 0

    @settings(thorough, max_examples=EXAMPLES_PER_OPERATION)
    @given(case=operation.as_strategy())
    def try_one(case: Any) -> None:
        nonlocal tried
        tried += 1
        secret = caller.http.headers["Authorization"]
        reply = case.call_and_validate(
            base_url=str(caller.http.base_url), headers={"Authorization": secret}, excluded_checks=EXCLUDED_CHECKS
        )
        if reply.status_code >= HTTPStatus.BAD_REQUEST:
            declared = operation.definition.raw["responses"][str(reply.status_code)]["content"][MEDIA_TYPE]["examples"]
            assert reply.json()["type"] in declared, (operation.label, reply.json())

    try_one()
    return tried


@schemathesis.serializer("application/x-ndjson")
def lines(_context: schemathesis.SerializationContext, value: Any) -> bytes:
    """Serializes one generated line as a body with this line."""
    return json.dumps(value).encode()


@pytest.mark.parametrize("role", [Role.PARTNER, pytest.param(Role.PUBLISHER, marks=pytest.mark.long), Role.OPERATOR])
def test_every_operation_conforms_to_openapi(
    partner: Caller, call: Call, token: MakeToken, role: Role, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Event streams end at once, as when the server shuts down.
    monkeypatch.setattr(ShutdownSignal, "is_set", True)
    partner.send(body(batch("Insert", [item("TP-1"), item("TP-2", name="")])))
    caller = partner if role is Role.PARTNER else call(token(role))
    tested = operations(caller)
    assert len(tested) >= 7
    assert all(count_tried(operation, caller) for operation in tested)


# Bodies outside the schemas


JSON_VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


def assert_valid_reply(reply: Any) -> None:
    document = reply.json()
    assert reply.status_code in STATUSES, reply.text
    assert document.keys() >= VENDOR_MEMBERS
    assert document["isSuccessful"] is (reply.status_code < HTTPStatus.BAD_REQUEST)
    if reply.status_code >= HTTPStatus.BAD_REQUEST:
        assert document.keys() >= PROBLEM_MEMBERS
        assert reply.headers["Content-Type"] == MEDIA_TYPE


@st.composite
def broken_batches(draw: st.DrawFn) -> bytes:
    """A batch with some of its bytes replaced."""
    sent = bytearray(body(batch("Insert", [item("TP-1"), item("TP-2", offerEvents=[])])))
    for _ in range(draw(st.integers(1, 3))):
        start = draw(st.integers(0, len(sent)))
        end = draw(st.integers(start, min(len(sent), start + 20)))
        sent[start:end] = draw(st.binary(max_size=8) | st.sampled_from([b"{", b"]", b'"', b",", b"\\ud800", b"1e999"]))
    return bytes(sent)


@st.composite
def odd_batches(draw: st.DrawFn) -> bytes:
    """A batch with some values of random types."""
    document = batch("Insert", [item("TP-1")])
    offer = document["offers"][0]
    for holder in draw(st.lists(st.sampled_from([document, offer, offer["offerData"][0]]), min_size=1, max_size=3)):
        holder[draw(st.sampled_from(sorted(holder)) | st.text(max_size=5))] = draw(JSON_VALUES)
    return json.dumps(document).encode()


@st.composite
def requests(draw: st.DrawFn) -> tuple[bytes, dict[str, str]]:
    sent = draw(st.binary(max_size=60) | broken_batches() | odd_batches())
    coding = draw(st.sampled_from(["identity", "gzip", "zstd", "zstd packed", "br"]))
    if coding == "zstd packed":
        sent, coding = compress(sent), "zstd"
    media_type = draw(st.sampled_from(["application/json", "application/json; charset=utf-8", "text/plain", ""]))
    prefer = draw(st.sampled_from(["", "respond-async", "wait=1", "wait=x", ';,="']))
    return sent, {"Content-Encoding": coding, "Content-Type": media_type, "Prefer": prefer}


def test_any_request_gets_a_reply_in_both_vocabularies(partner: Caller) -> None:
    @thorough
    @example((b"", {}))
    @example((b"[" * 100_000, {}))
    @example((b'{"offers":' + b"[" * 100_000, {}))
    @given(requests())
    def send(sent: tuple[bytes, dict[str, str]]) -> None:
        assert_valid_reply(partner.send(sent[0], **sent[1]))

    send()
    assert partner.get("/readyz").status_code == HTTPStatus.OK


def test_odd_values_get_a_reply_in_both_vocabularies(partner: Caller) -> None:
    @thorough
    @given(odd_batches() | broken_batches())
    def send(sent: bytes) -> None:
        assert_valid_reply(partner.send(sent))

    send()
