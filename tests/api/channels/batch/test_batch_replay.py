"""A repeated request gets the same reply, and other content with its id is refused (contract, section 3)."""

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


def test_first_reply_is_not_marked_as_a_replay(partner: Caller) -> None:
    assert REPLAYED not in send(partner, item()).headers


def test_repeated_request_gets_the_same_bytes(partner: Caller) -> None:
    items = [item(), item("TP-2", **BROKEN), item(None)]
    first = send(partner, *items)
    partner.send(body(batch("Synchronize", [item("TP-3")])))
    repeated = send(partner, *items)
    assert (repeated.status_code, repeated.content, repeated.headers[REPLAYED]) == (200, first.content, "true")


def test_replay_changes_nothing(partner: Caller) -> None:
    send(partner, item())
    partner.send(body(batch("Synchronize", [item("TP-3")])))
    before = position(partner)
    send(partner, item())
    assert position(partner) == before


def test_repeated_request_in_another_spelling_is_a_replay(partner: Caller, subtests: pytest.Subtests) -> None:
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
            repeated = partner.send(text.encode())
            assert (repeated.status_code, repeated.content, repeated.headers.get(REPLAYED)) == (
                200,
                first.content,
                "true",
            )


def test_other_content_with_the_same_id_is_refused(partner: Caller, subtests: pytest.Subtests) -> None:
    send(partner, item())
    before = position(partner)
    others: dict[str, dict[str, Any]] = {
        "operation": {"operation": "Synchronize"},
        "content": {"offers": [item(headline="Other")]},
        "externalId": {"offers": [item("TP-2")]},
        "item twice": {"offers": [item(), item()]},
        "invalid item": {"offers": [item(extra=2**60)]},
    }
    for name, changes in others.items():
        with subtests.test(name):
            reply = partner.send(body(batch("Insert", [item()], REQUEST_ID) | changes))
            document = reply.json()
            assert (reply.status_code, document["type"]) == (422, "idempotency-key-reused")
            assert document["errors"][0]["pointer"] == "/concurrencyRequestId"
            assert (document["isSuccessful"], document["data"]) == (False, None)
            assert position(partner) == before


def test_different_failed_items_are_different_requests(partner: Caller) -> None:
    assert send(partner, item(extra=2**60), item("TP-2")).status_code == 200
    assert send(partner, item(extra=2**60), item("TP-2")).status_code == 200
    assert send(partner, item(extra=2**61), item("TP-2")).status_code == 422


def test_no_valid_item_is_equal_to_a_failed_item(partner: Caller) -> None:
    sent = body(batch("Insert", [item(extra="HERE"), item("TP-2")], REQUEST_ID))
    assert partner.send(sent.replace(b'"HERE"', b"1e400")).status_code == 200
    assert partner.send(sent.replace(b'"HERE"', b'{"flaw":"1e400"}')).status_code == 422


def test_equal_concurrent_requests_are_executed_once(partner: Caller) -> None:
    before = position(partner)
    with ThreadPoolExecutor(4) as pool:
        replies = list(pool.map(lambda _: send(partner, item()), range(8)))
    assert {reply.status_code for reply in replies} <= {200, 202}
    assert sum(reply.status_code == 200 and REPLAYED not in reply.headers for reply in replies) == 1
    assert position(partner) == before + 1


def test_refused_request_may_be_repeated_with_its_id(partner: Caller) -> None:
    assert send(partner, item(), operation="Delete").status_code == 422
    reply = send(partner, item())
    assert (reply.status_code, REPLAYED in reply.headers) == (200, False)


def test_partners_may_use_the_same_id(partner: Caller, call: Call, token: MakeToken) -> None:
    send(partner, item())
    reply = send(call(token(partner="harbor")), item("HD-1"))
    assert (reply.status_code, REPLAYED in reply.headers) == (200, False)


# All items failed


def test_batch_with_only_failed_items_is_422(partner: Caller) -> None:
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
            {"externalId": "", "messages": ["offers[1]: must be an object"]},
        ],
        "counts": {"created": 0, "updated": 0, "unchanged": 0, "paused": 0, "failed": 2},
    }


@pytest.mark.parametrize("failed", [[item("TP-2", **BROKEN)], [item("TP-2"), item("TP-2", name="Other")], ["TP-2"]])
def test_synchronize_with_only_failed_items_pauses_nothing(partner: Caller, failed: list[Any]) -> None:
    partner.send(body(batch("Insert", [item()])))
    before = position(partner)
    assert send(partner, *failed, operation="Synchronize").status_code == 422
    assert position(partner) == before
    (offer,) = partner.get("/api/v1/offers").json()["items"]
    assert (offer["status"], offer["content"]) == ("active", offer_data())


def test_message_says_that_synchronize_paused_nothing(partner: Caller) -> None:
    messages = send(partner, "TP-1", operation="Synchronize").json()["messages"]
    assert "No offer has been paused: an item of this request has no readable externalId" in messages


def test_batch_with_only_failed_items_is_replayed_too(partner: Caller) -> None:
    first = send(partner, item(**BROKEN))
    repeated = send(partner, item(**BROKEN))
    assert REPLAYED not in first.headers
    assert (repeated.status_code, repeated.headers[REPLAYED]) == (422, "true")
    assert first.json() | {"traceId": ""} == repeated.json() | {"traceId": ""}
