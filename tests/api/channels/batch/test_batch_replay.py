"""The same request again gets the same answer, and other content under its id is refused (contract, section 3)."""

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import httpx2
import pytest

from tests.support.examples import batch, body, item, offer_data
from tests.support.harness import Call, Caller, MakeToken

REPLAYED = "Idempotency-Replayed"
REQUEST_ID = "0b5c1f7e-5c0a-4a53-9a6e-3a1f5d7c2e11"
BROKEN = {"headline": ""}


def send(caller: Caller, *items: Any, operation: str = "Insert") -> httpx2.Response:
    return caller.send(body(batch(operation, items, REQUEST_ID)))


def position(caller: Caller) -> int:
    return int(caller.get("/api/v1/offers").json()["position"])


def test_a_first_reply_is_not_marked_as_a_replay(partner: Caller) -> None:
    assert REPLAYED not in send(partner, item()).headers


def test_the_same_request_again_gets_the_same_bytes(partner: Caller) -> None:
    items = [item(), item("TP-2", **BROKEN), item(None)]
    first = send(partner, *items)
    partner.send(body(batch("Synchronize", [item("TP-3")])))
    again = send(partner, *items)
    assert (again.status_code, again.content, again.headers[REPLAYED]) == (200, first.content, "true")


def test_a_replay_does_nothing(partner: Caller) -> None:
    send(partner, item())
    partner.send(body(batch("Synchronize", [item("TP-3")])))
    before = position(partner)
    send(partner, item())
    assert position(partner) == before


def test_the_same_request_spelt_otherwise_is_a_replay(partner: Caller, subtests: pytest.Subtests) -> None:
    first = send(partner, item())
    request = batch("Insert", [item()], REQUEST_ID)
    respelt = {
        "white space": json.dumps(request, indent=3),
        "key order": json.dumps(request, sort_keys=True),
        "upper case id": json.dumps(batch("Insert", [item()], REQUEST_ID.upper())),
        "decimal": json.dumps(batch("Insert", [item(dailyCap=50.0)], REQUEST_ID)),
        "escapes": json.dumps(request).replace("Adjust", "\\u0041djust"),
    }
    for name, text in respelt.items():
        with subtests.test(name):
            again = partner.send(text.encode())
            assert (again.status_code, again.content, again.headers.get(REPLAYED)) == (200, first.content, "true")


def test_other_content_under_the_same_id_is_refused(partner: Caller, subtests: pytest.Subtests) -> None:
    send(partner, item())
    before = position(partner)
    others: dict[str, dict[str, Any]] = {
        "operation": {"operation": "Synchronize"},
        "content": {"offers": [item(headline="Other")]},
        "externalId": {"offers": [item("TP-2")]},
        "once more": {"offers": [item(), item()]},
        "flawed": {"offers": [item(extra=2**60)]},
    }
    for name, changes in others.items():
        with subtests.test(name):
            reply = partner.send(body(batch("Insert", [item()], REQUEST_ID) | changes))
            document = reply.json()
            assert (reply.status_code, document["type"]) == (422, "idempotency-key-reused")
            assert document["errors"][0]["pointer"] == "/concurrencyRequestId"
            assert (document["isSuccessful"], document["data"]) == (False, None)
            assert position(partner) == before


def test_items_that_failed_tell_requests_apart_too(partner: Caller) -> None:
    assert send(partner, item(extra=2**60), item("TP-2")).status_code == 200
    assert send(partner, item(extra=2**60), item("TP-2")).status_code == 200
    assert send(partner, item(extra=2**61), item("TP-2")).status_code == 422


def test_nothing_that_can_be_sent_stands_for_an_item_that_failed(partner: Caller) -> None:
    sent = body(batch("Insert", [item(extra="HERE"), item("TP-2")], REQUEST_ID))
    assert partner.send(sent.replace(b'"HERE"', b"1e400")).status_code == 200
    assert partner.send(sent.replace(b'"HERE"', b'{"flaw":"1e400"}')).status_code == 422


def test_the_same_request_sent_many_times_at_once_is_carried_out_once(partner: Caller) -> None:
    before = position(partner)
    with ThreadPoolExecutor(4) as pool:
        replies = list(pool.map(lambda _: send(partner, item()), range(8)))
    assert {reply.status_code for reply in replies} <= {200, 202}
    assert sum(reply.status_code == 200 and REPLAYED not in reply.headers for reply in replies) == 1
    assert position(partner) == before + 1


def test_a_refused_request_may_be_sent_again_with_its_id(partner: Caller) -> None:
    assert send(partner, item(), operation="Delete").status_code == 422
    reply = send(partner, item())
    assert (reply.status_code, REPLAYED in reply.headers) == (200, False)


def test_partners_may_use_the_same_id(partner: Caller, call: Call, token: MakeToken) -> None:
    send(partner, item())
    reply = send(call(token(partner="harbor")), item("HD-1"))
    assert (reply.status_code, REPLAYED in reply.headers) == (200, False)


# All items failed


def test_a_batch_whose_items_all_failed_is_422_in_both_vocabularies(partner: Caller) -> None:
    request_id = str(uuid4())
    reply = partner.send(body(batch("Insert", [item(**BROKEN), 5], request_id)))
    document = reply.json()
    assert (reply.status_code, document["type"], document["status"]) == (422, "all-items-failed", 422)
    assert (document["isSuccessful"], document["responseType"]) == (False, "AllItemsFailed")
    assert {"title", "detail", "instance", "errors", "traceId", "responseId", "responseTitle", "messages"} <= set(
        document
    )
    data = document["data"]
    assert data.pop("runId")
    assert data == {
        "concurrencyRequestId": request_id,
        "createdOffers": [],
        "updatedOffers": [],
        "notChangedOffers": [],
        "pausedOffers": [],
        "failedOffers": [
            {"externalId": "TP-1", "messages": ["offerData[0].headline: must not be empty"]},
            {"externalId": None, "messages": ["offers[1]: must be an object"]},
        ],
        "counts": {"created": 0, "updated": 0, "unchanged": 0, "paused": 0, "failed": 2},
    }


@pytest.mark.parametrize("failed", [[item("TP-2", **BROKEN)], [item("TP-2"), item("TP-2", name="Other")], ["TP-2"]])
def test_a_synchronize_whose_items_all_failed_pauses_nothing(partner: Caller, failed: list[Any]) -> None:
    partner.send(body(batch("Insert", [item()])))
    before = position(partner)
    assert send(partner, *failed, operation="Synchronize").status_code == 422
    assert position(partner) == before
    (offer,) = partner.get("/api/v1/offers").json()["items"]
    assert (offer["status"], offer["content"]) == ("active", offer_data())


def test_a_synchronize_whose_only_items_have_no_readable_id_says_that_nothing_was_paused(partner: Caller) -> None:
    messages = send(partner, "TP-1", operation="Synchronize").json()["messages"]
    assert "No offer has been paused: an item of this request has no readable externalId" in messages


def test_a_batch_whose_items_all_failed_is_replayed_too(partner: Caller) -> None:
    first = send(partner, item(**BROKEN))
    again = send(partner, item(**BROKEN))
    assert REPLAYED not in first.headers
    assert (again.status_code, again.headers[REPLAYED]) == (422, "true")
    assert first.json() | {"traceId": ""} == again.json() | {"traceId": ""}
