"""A small request cannot cause a large reply, and waiting batches do not delay other requests."""

import json
import logging
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from api.bounds.body import BodyBounds
from api.http.problems import Problem
from api.intake.batch import read_request
from api.service import Service
from api.validation.field_errors import MAX_FIELD_ERRORS, MAX_NAME_LENGTH
from domain.offers.content import digest
from domain.runs.batch_reconciliation import InvalidItem
from tests.support.examples import batch, body, item, offer_data, validated_item
from tests.support.harness import Call, Caller, MakeToken

LONG_NAME = "n" * 100_000
WAITING = 60


def messages(element: Any) -> list[str]:
    validated = validated_item(element)
    assert isinstance(validated, InvalidItem)
    return list(validated.messages)


@pytest.mark.parametrize("broken", [{"creatives": [{}] * 1_000}, {"offerEvents": [0] * 1_000, "dailyCap": None}])
def test_only_the_first_invalid_element_of_a_list_is_reported(broken: dict[str, Any]) -> None:
    assert 1 <= len(messages(item(**broken))) <= 2


def test_number_of_messages_for_an_item_is_limited() -> None:
    found = messages({"externalId": "TP-1", "offerData": {}})
    assert len(found) == MAX_FIELD_ERRORS + 1
    assert found[-1] == "there are more problems"


@pytest.mark.parametrize(
    "sent",
    [
        batch("Insert", [item(**{LONG_NAME: 10**50})]),
        batch("Insert", [item() | {LONG_NAME: 1}]),
        batch("Insert", [item()]) | {LONG_NAME: 1},
        batch("Insert", [item()]) | {f"name{n}": 1 for n in range(90)},
    ],
    ids=["in the content", "beside it", "in the envelope", "many in the envelope"],
)
def test_long_and_many_member_names_are_shortened(partner: Caller, sent: dict[str, Any]) -> None:
    reply = partner.send(body(sent))
    assert len(reply.content) < 2_500
    assert "nnn..." in reply.text or reply.text.count("ignored") == MAX_FIELD_ERRORS


def test_unknown_query_parameters_are_shortened(partner: Caller) -> None:
    reply = partner.get("/api/v1/offers", None, **{f"{'x' * 100}{n}": "1" for n in range(100)})
    errors = reply.json()["errors"]
    assert (reply.status_code, len(errors)) == (422, MAX_FIELD_ERRORS)
    assert all(len(error["pointer"]) <= len("/query/") + MAX_NAME_LENGTH for error in errors)


def test_list_is_not_read_beyond_its_limit() -> None:
    # The fourth element is not JSON, but the parser stops before it.
    sent = b'{"concurrencyRequestId":"x","operation":"Insert","offers":[1,2,3,@@@]}'
    with pytest.raises(Problem) as error:
        read_request(lambda: [sent], BodyBounds(max_items=2))
    assert str(error.value.errors[0]) == "offers: must have at most 2 elements (OFFER_LEDGER_MAX_ITEMS)"


@pytest.mark.parametrize("path", ["/api/v1/offers", "/api/v1/openapi.json"])
def test_repeated_parameter_is_refused(auditor: Caller, path: str) -> None:
    reply = auditor.http.get(f"{path}?status=active&status=paused")
    assert (reply.status_code, reply.json()["errors"][0]["pointer"]) == (422, "/query/status")


@pytest.mark.parametrize("path", ["/api/v1/offers", "/api/v1/openapi.json"])
def test_query_must_be_utf8(auditor: Caller, path: str) -> None:
    reply = auditor.http.get(f"{path}?partner=%ff")
    assert (reply.status_code, [error["pointer"] for error in reply.json()["errors"]]) == (422, ["/query"])


@pytest.mark.parametrize("limit", ["1_0", "1.0", " 5", "+5", "1e2", ""])
def test_page_limit_must_have_digits_only(auditor: Caller, limit: str) -> None:
    assert auditor.get("/api/v1/offers", limit=limit).status_code == 422


def test_waiting_batches_do_not_delay_reads(service: Service, call: Call, token: MakeToken) -> None:
    callers = [call(token(partner=f"partner-{n}")) for n in range(WAITING)]
    reader = call(token())
    with ThreadPoolExecutor(WAITING) as pool:
        with service.ledger.recorder.write():
            waiting = [
                pool.submit(caller.send, body(batch("Insert", [item(f"TP-{n}")]))) for n, caller in enumerate(callers)
            ]
            statuses = [reader.get(path).status_code for path in ("/healthz", "/readyz", "/api/v1/offers")]
            assert not any(future.done() for future in waiting)
        assert {future.result().status_code for future in waiting} == {200}
    assert statuses == [200, 200, 200]


def test_failure_is_logged_with_the_trace_id_of_the_reply(
    service: Service, auditor: Caller, caplog: pytest.LogCaptureFixture
) -> None:
    with service.ledger.recorder.write() as tx:
        tx.execute("ALTER TABLE head RENAME TO neck")
    with caplog.at_level(logging.ERROR):
        reply = auditor.get("/api/v1/offers")
    assert reply.status_code == 503
    assert reply.json()["traceId"] in caplog.text


def test_item_cannot_imitate_two_items(partner: Caller) -> None:
    two = batch("Insert", [item("TP-1"), item("TP-2")])
    one = two | {"offers": [item(f"TP-1\n={digest(offer_data())} TP-2")]}
    assert partner.send(body(two)).status_code == 200
    assert partner.send(body(one)).json()["type"] == "idempotency-key-reused"


@pytest.mark.parametrize(
    "repeated",
    [
        item(dailyCap=None),
        {"externalId": "TP-1", "offerData": item()["offerData"][0] | {"dailyCap": None, "offerEvents": []}},
        {"offerData": item(weeklyCap=None, dailyCap=None)["offerData"], "externalId": "TP-1"},
    ],
    ids=["null", "object form, empty events", "order, null"],
)
def test_equivalent_request_is_a_replay(partner: Caller, repeated: dict[str, Any]) -> None:
    first = item()
    del first["offerData"][0]["dailyCap"]
    document = batch("Insert", [first])
    reply = partner.send(body(document))
    replay = partner.send(json.dumps(document | {"offers": [repeated]}).encode())
    assert (replay.status_code, replay.headers.get("Idempotency-Replayed")) == (200, "true")
    assert replay.content == reply.content
