"""The effect of a batch on the offers, case by case, and its reply (contract, section 3)."""

from typing import Any
from uuid import uuid4

import httpx2
import pytest

from api.channels.batch_reply_schemas import BatchReply
from domain.ledgers.ledger import OfferLedger
from domain.values import Channel, OfferKey
from tests.support.examples import KEY, PARTNER, batch, body, created, item, offer_data
from tests.support.harness import Call, Caller, MakeToken, record

LISTS = ("createdOffers", "updatedOffers", "notChangedOffers", "pausedOffers", "failedOffers")
SAME = "Offer has the same data"
RESUMED = "Offer has been resumed"
BROKEN = {"headline": ""}
BROKEN_MESSAGE = "offerData[0].headline: must not be empty"

both_operations = pytest.mark.parametrize("operation", ["Synchronize", "Insert"])


def send(caller: Caller, operation: str, *items: Any) -> httpx2.Response:
    return caller.send(body(batch(operation, items)))


def lists(reply: httpx2.Response) -> dict[str, Any]:
    """Returns the lists of a reply that are not empty."""
    data = reply.json()["data"]
    return {name: data[name] for name in LISTS if data[name]}


def ids(reply: httpx2.Response) -> dict[str, list[str]]:
    return {name: [reply_item["externalId"] for reply_item in items] for name, items in lists(reply).items()}


def reply_item(external_id: str | None, *messages: str) -> dict[str, Any]:
    return {"externalId": external_id, "messages": list(messages)}


def inventory(caller: Caller) -> dict[str, tuple[str, int, Any]]:
    """Returns status, version and content of every offer, by externalId."""
    items = caller.get("/api/v1/offers").json()["items"]
    return {offer["externalId"]: (offer["status"], offer["version"], offer["content"]) for offer in items}


def position(caller: Caller) -> int:
    return int(caller.get("/api/v1/offers").json()["position"])


@pytest.fixture
def with_active(partner: Caller) -> Caller:
    """A partner whose offer TP-1 is active."""
    send(partner, "Insert", item())
    return partner


@pytest.fixture
def with_paused(with_active: Caller) -> Caller:
    """A partner whose offer TP-1 is paused, and TP-0 active."""
    send(with_active, "Synchronize", item("TP-0"))
    return with_active


# The reply


@both_operations
def test_reply_has_the_members_of_the_batch_document(partner: Caller, operation: str) -> None:
    request_id = str(uuid4())
    reply = partner.send(body(batch(operation, [item()], request_id)))
    assert reply.status_code == 200
    assert reply.headers["content-type"] == "application/json"
    document = reply.json()
    assert set(document) == {"responseId", "isSuccessful", "responseTitle", "responseType", "messages", "data"}
    assert (document["isSuccessful"], document["responseType"], document["messages"]) == (True, "Success", [])
    data = document["data"]
    assert set(data) == {"concurrencyRequestId", "runId", *LISTS, "counts"}
    assert data["concurrencyRequestId"] == request_id
    assert data["createdOffers"] == [reply_item("TP-1")]
    assert data["counts"] == {"created": 1, "updated": 0, "unchanged": 0, "paused": 0, "failed": 0}


def test_reply_matches_the_published_schema(partner: Caller) -> None:
    reply = send(partner, "Insert", item(), item("TP-2", **BROKEN), 1)
    document = reply.json()
    assert BatchReply.model_validate(document).model_dump(mode="json", exclude_unset=True) == document


def test_every_list_is_in_the_order_of_the_request(partner: Caller) -> None:
    send(partner, "Insert", *(item(f"TP-{n}") for n in (3, 1, 2, 6, 4, 5)))
    new = [item(f"TP-{n}") for n in (9, 7, 8)]
    other = [item(f"TP-{n}", headline="Other") for n in (2, 3, 1)]
    assert ids(send(partner, "Insert", *new, item("TP-5"), *other, item("TP-4"))) == {
        "createdOffers": ["TP-9", "TP-7", "TP-8"],
        "updatedOffers": ["TP-2", "TP-3", "TP-1"],
        "notChangedOffers": ["TP-5", "TP-4"],
    }


def test_failed_offers_without_id_keep_their_place(partner: Caller) -> None:
    broken = [item(external_id, **BROKEN) for external_id in ("X-2", None, "X-1")]
    assert ids(send(partner, "Insert", *broken, item())) == {
        "createdOffers": ["TP-1"],
        "failedOffers": ["X-2", "", "X-1"],
    }


def test_paused_offers_are_in_the_order_of_their_creation(partner: Caller) -> None:
    send(partner, "Insert", *(item(f"TP-{n}") for n in (3, 1, 2)))
    assert ids(send(partner, "Synchronize", item())) == {
        "notChangedOffers": ["TP-1"],
        "pausedOffers": ["TP-3", "TP-2"],
    }


def test_counts_are_the_lengths_of_the_lists(partner: Caller) -> None:
    send(partner, "Insert", item("TP-1"), item("TP-2"), item("TP-3"))
    reply = send(partner, "Synchronize", item("TP-1"), item("TP-2", name="Other"), item("TP-4"), item("TP-5", **BROKEN))
    assert reply.json()["data"]["counts"] == {"created": 1, "updated": 1, "unchanged": 1, "paused": 1, "failed": 1}


@both_operations
def test_batch_with_failed_and_other_items_is_a_partial_success(partner: Caller, operation: str) -> None:
    reply = send(partner, operation, item("TP-1"), item("TP-2", **BROKEN))
    assert reply.status_code == 200
    document = reply.json()
    assert (document["isSuccessful"], document["responseType"]) == (True, "PartialSuccess")
    assert lists(reply) == {"createdOffers": [reply_item("TP-1")], "failedOffers": [reply_item("TP-2", BROKEN_MESSAGE)]}


def test_unknown_member_of_a_batch_is_ignored_with_a_message(partner: Caller) -> None:
    reply = partner.send(body(batch("Insert", [item()]) | {"dryRun": True}))
    assert reply.json()["messages"] == ["dryRun: ignored, not a member of a batch"]
    assert lists(reply) == {"createdOffers": [reply_item("TP-1")]}


@pytest.mark.parametrize("name", ["\0", "\ud800"])
def test_any_member_name_gets_a_reply(partner: Caller, name: str) -> None:
    assert partner.send(body(batch("Insert", [item()]) | {name: 1})).status_code in {200, 400, 422}


def test_unknown_member_of_an_item_is_ignored_with_a_message(partner: Caller) -> None:
    reply = send(partner, "Insert", item() | {"priority": 1})
    assert lists(reply) == {"createdOffers": [reply_item("TP-1", "priority: ignored, not a member of an offer")]}


# Effects


@both_operations
def test_unknown_offer_is_created(partner: Caller, operation: str) -> None:
    assert lists(send(partner, operation, item(extra=[1.5]))) == {"createdOffers": [reply_item("TP-1")]}
    assert inventory(partner) == {"TP-1": ("active", 1, offer_data(extra=[1.5]))}


@both_operations
def test_same_content_changes_nothing(with_active: Caller, operation: str) -> None:
    before = position(with_active)
    assert lists(send(with_active, operation, item())) == {"notChangedOffers": [reply_item("TP-1", SAME)]}
    assert position(with_active) == before


@both_operations
def test_other_content_replaces_the_whole_content(partner: Caller, operation: str) -> None:
    send(partner, "Insert", item(extra=1, weeklyCap=7))
    assert lists(send(partner, operation, item(headline="Other"))) == {"updatedOffers": [reply_item("TP-1")]}
    assert inventory(partner) == {"TP-1": ("active", 2, offer_data(headline="Other"))}


@both_operations
def test_paused_offer_that_is_sent_is_resumed(with_paused: Caller, operation: str) -> None:
    reply = send(with_paused, operation, item(), item("TP-0"))
    assert lists(reply) == {
        "updatedOffers": [reply_item("TP-1", RESUMED)],
        "notChangedOffers": [reply_item("TP-0", SAME)],
    }
    assert inventory(with_paused)["TP-1"] == ("active", 3, offer_data())


@both_operations
def test_paused_offer_with_other_content_is_resumed_and_updated(with_paused: Caller, operation: str) -> None:
    reply = send(with_paused, operation, item(headline="Other"), item("TP-0"))
    assert lists(reply)["updatedOffers"] == [reply_item("TP-1", RESUMED)]
    assert inventory(with_paused)["TP-1"] == ("active", 4, offer_data(headline="Other"))


def test_synchronize_pauses_absent_offers(with_active: Caller) -> None:
    reply = send(with_active, "Synchronize", item("TP-0"))
    assert lists(reply) == {"createdOffers": [reply_item("TP-0")], "pausedOffers": [reply_item("TP-1")]}
    assert inventory(with_active)["TP-1"] == ("paused", 2, offer_data())


def test_insert_does_not_change_absent_offers(with_active: Caller) -> None:
    assert lists(send(with_active, "Insert", item("TP-0"))) == {"createdOffers": [reply_item("TP-0")]}
    assert inventory(with_active)["TP-1"] == ("active", 1, offer_data())


def test_paused_offer_is_not_paused_a_second_time(with_paused: Caller) -> None:
    assert lists(send(with_paused, "Synchronize", item("TP-0"))) == {"notChangedOffers": [reply_item("TP-0", SAME)]}
    assert inventory(with_paused)["TP-1"] == ("paused", 2, offer_data())


@both_operations
def test_invalid_item_does_not_change_its_offer(with_active: Caller, operation: str) -> None:
    reply = send(with_active, operation, item(**BROKEN), item("TP-2"))
    assert lists(reply) == {"createdOffers": [reply_item("TP-2")], "failedOffers": [reply_item("TP-1", BROKEN_MESSAGE)]}
    assert inventory(with_active)["TP-1"] == ("active", 1, offer_data())


@both_operations
def test_invalid_item_does_not_resume_its_offer(with_paused: Caller, operation: str) -> None:
    send(with_paused, operation, item(**BROKEN), item("TP-0"))
    assert inventory(with_paused)["TP-1"] == ("paused", 2, offer_data())


@both_operations
def test_same_offer_sent_twice_counts_once(partner: Caller, operation: str) -> None:
    reply = send(partner, operation, item(), item("TP-2"), item(dailyCap=50.0))
    assert lists(reply) == {"createdOffers": [reply_item("TP-1", "Sent 2 times"), reply_item("TP-2")]}
    assert inventory(partner)["TP-1"] == ("active", 1, offer_data())


@both_operations
@pytest.mark.parametrize("changes", [{"headline": "Other"}, BROKEN])
def test_different_items_with_the_same_id_all_fail(
    with_active: Caller, operation: str, changes: dict[str, Any]
) -> None:
    reply = send(with_active, operation, item(), item("TP-2"), item(**changes))
    (failed,) = lists(reply)["failedOffers"]
    assert failed["externalId"] == "TP-1"
    assert failed["messages"][0] == "externalId: sent 2 times with different content"
    assert lists(reply)["createdOffers"] == [reply_item("TP-2")]
    assert inventory(with_active)["TP-1"] == ("active", 1, offer_data())


def test_synchronize_pauses_nothing_if_an_id_is_unreadable(with_active: Caller, subtests: pytest.Subtests) -> None:
    for number, unreadable in enumerate((item(""), item(5), {"offerData": offer_data()}, "TP-1")):
        with subtests.test(str(number)):
            reply = send(with_active, "Synchronize", item(f"X-{number}"), unreadable)
            assert ids(reply) == {"createdOffers": [f"X-{number}"], "failedOffers": [""]}
            (message,) = reply.json()["messages"]
            assert message == "No offer has been paused: an item of this request has no readable externalId"
            assert {status for status, _, _ in inventory(with_active).values()} == {"active"}


def test_insert_with_an_unreadable_id_has_no_message_about_pausing(partner: Caller) -> None:
    reply = send(partner, "Insert", item("TP-2"), item(""))
    assert lists(reply)["failedOffers"] == [reply_item("", "offers[1].externalId: must not be empty")]
    assert reply.json()["messages"] == []


def test_ids_are_compared_exactly(partner: Caller) -> None:
    ids = ["TP-1", "tp-1", "TP-1 ", "é", "e\u0301"]
    reply = send(partner, "Insert", *map(item, ids))
    assert lists(reply) == {"createdOffers": [reply_item(external_id) for external_id in ids]}


# Other offers


def test_batch_does_not_change_offers_of_other_partners(partner: Caller, call: Call, token: MakeToken) -> None:
    other = call(token(partner="harbor"))
    send(other, "Insert", item("TP-1"), item("HD-1"))
    assert lists(send(partner, "Synchronize", item("TP-1", headline="Mine"))) == {"createdOffers": [reply_item("TP-1")]}
    assert inventory(other) == {"TP-1": ("active", 1, offer_data()), "HD-1": ("active", 1, offer_data())}


def test_synchronize_does_not_change_the_merchant_channel(partner: Caller, ledger: OfferLedger) -> None:
    key = OfferKey(PARTNER, Channel.MERCHANT, "M-1", KEY.external_id)
    record(ledger, key, created(key=key))
    assert lists(send(partner, "Synchronize", item("TP-2"))) == {"createdOffers": [reply_item("TP-2")]}
    assert inventory(partner)["TP-1"] == ("active", 1, offer_data())


def test_all_events_of_a_run_have_one_recorded_time(with_active: Caller) -> None:
    send(with_active, "Synchronize", item("TP-2"), item("TP-3"))
    items = with_active.get("/api/v1/offers").json()["items"]
    assert len({offer["updatedAt"] for offer in items}) == 1
