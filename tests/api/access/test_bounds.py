"""A small request can't make a large answer, and waiting batches keep nobody else waiting."""

import json
import logging
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from api.http.problems import Problem
from api.intake.batch import read_request
from api.service import Service
from api.validation.field_errors import MAX_FIELD_ERRORS, MAX_NAME_LENGTH
from domain.offers.content import digest
from domain.runs.batch_reconciliation import InvalidItem
from tests.support.examples import batch, body, item, judged, offer_data
from tests.support.harness import Call, Caller, MakeToken

LONG_NAME = "n" * 100_000
WAITING = 60


def messages(element: Any) -> list[str]:
    found = judged(element)
    assert isinstance(found, InvalidItem)
    return list(found.messages)


@pytest.mark.parametrize("broken", [{"creatives": [{}] * 1_000}, {"offerEvents": [0] * 1_000, "dailyCap": None}])
def test_of_a_list_only_the_first_wrong_element_is_told_of(broken: dict[str, Any]) -> None:
    assert 1 <= len(messages(item(**broken))) <= 2


def test_no_more_problems_of_an_item_are_told_than_are_of_use() -> None:
    told = messages({"externalId": "TP-1", "offerData": {}})
    assert len(told) == MAX_FIELD_ERRORS + 1
    assert told[-1] == "there are more problems"


@pytest.mark.parametrize(
    "sent",
    [
        batch("Insert", [item(**{LONG_NAME: 2**60})]),
        batch("Insert", [item() | {LONG_NAME: 1}]),
        batch("Insert", [item()]) | {LONG_NAME: 1},
        batch("Insert", [item()]) | {f"name{n}": 1 for n in range(1_000)},
    ],
    ids=["in the content", "beside it", "in the envelope", "many in the envelope"],
)
def test_names_that_a_partner_chose_are_told_in_short(partner: Caller, sent: dict[str, Any]) -> None:
    reply = partner.send(body(sent))
    assert len(reply.content) < 2_500
    assert "nnn..." in reply.text or reply.text.count("ignored") == MAX_FIELD_ERRORS


def test_unknown_query_parameters_are_told_in_short(partner: Caller) -> None:
    reply = partner.get("/api/v1/offers", None, **{f"{'x' * 100}{n}": "1" for n in range(100)})
    errors = reply.json()["errors"]
    assert (reply.status_code, len(errors)) == (422, MAX_FIELD_ERRORS)
    assert all(len(error["pointer"]) <= len("/query/") + MAX_NAME_LENGTH for error in errors)


def test_a_list_is_not_read_beyond_its_limit() -> None:
    # What follows the third element is not even JSON: it is never reached.
    sent = b'{"concurrencyRequestId":"x","operation":"Insert","offers":[1,2,3,@@@]}'
    with pytest.raises(Problem) as refused:
        read_request(lambda: [sent], max_items=2)
    assert str(refused.value.errors[0]) == "offers: must have at most 2 elements"


@pytest.mark.parametrize("path", ["/api/v1/offers", "/api/v1/openapi.json"])
def test_a_parameter_that_is_given_twice_is_refused(auditor: Caller, path: str) -> None:
    reply = auditor.http.get(f"{path}?status=active&status=paused")
    assert (reply.status_code, reply.json()["errors"][0]["pointer"]) == (422, "/query/status")


@pytest.mark.parametrize("path", ["/api/v1/offers", "/api/v1/openapi.json"])
def test_a_query_that_is_no_text_is_refused(auditor: Caller, path: str) -> None:
    reply = auditor.http.get(f"{path}?partner=%ff")
    assert (reply.status_code, [error["pointer"] for error in reply.json()["errors"]]) == (422, ["/query"])


@pytest.mark.parametrize("limit", ["1_0", "1.0", " 5", "+5", "1e2", ""])
def test_a_limit_is_written_in_digits(auditor: Caller, limit: str) -> None:
    assert auditor.get("/api/v1/offers", limit=limit).status_code == 422


def test_batches_that_wait_keep_nobody_else_waiting(service: Service, call: Call, token: MakeToken) -> None:
    callers = [call(token(partner=f"partner-{n}")) for n in range(WAITING)]
    reader = call(token())
    with ThreadPoolExecutor(WAITING) as pool:
        with service.ledger.recorder.write():
            waiting = [
                pool.submit(caller.send, body(batch("Insert", [item(f"TP-{n}")]))) for n, caller in enumerate(callers)
            ]
            answers = [reader.get(path).status_code for path in ("/healthz", "/readyz", "/api/v1/offers")]
            assert not any(future.done() for future in waiting)
        assert {future.result().status_code for future in waiting} == {200}
    assert answers == [200, 200, 200]


def test_a_failure_is_logged_under_the_id_that_its_caller_is_told(
    service: Service, auditor: Caller, caplog: pytest.LogCaptureFixture
) -> None:
    with service.ledger.recorder.write() as tx:
        tx.execute("ALTER TABLE head RENAME TO neck")
    with caplog.at_level(logging.ERROR):
        reply = auditor.get("/api/v1/offers")
    assert reply.status_code == 503
    assert reply.json()["traceId"] in caplog.text


def test_no_item_can_be_spelt_so_as_to_read_as_two(partner: Caller) -> None:
    two = batch("Insert", [item("TP-1"), item("TP-2")])
    one = two | {"offers": [item(f"TP-1\n={digest(offer_data())} TP-2")]}
    assert partner.send(body(two)).status_code == 200
    assert partner.send(body(one)).json()["type"] == "idempotency-key-reused"


@pytest.mark.parametrize(
    "again",
    [
        item(dailyCap=None),
        {"externalId": "TP-1", "offerData": item()["offerData"][0] | {"dailyCap": None, "offerEvents": []}},
        {"offerData": item(weeklyCap=None, dailyCap=None)["offerData"], "externalId": "TP-1"},
    ],
    ids=["null", "object form, empty events", "order, null"],
)
def test_the_same_request_in_other_words_is_a_replay(partner: Caller, again: dict[str, Any]) -> None:
    first = item()
    del first["offerData"][0]["dailyCap"]
    document = batch("Insert", [first])
    reply = partner.send(body(document))
    replay = partner.send(json.dumps(document | {"offers": [again]}).encode())
    assert (replay.status_code, replay.headers.get("Idempotency-Replayed")) == (200, "true")
    assert replay.content == reply.content
