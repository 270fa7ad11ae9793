"""The effect of a PUT or DELETE of one merchant offer on the ledger."""

import json
import re
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from api.channels.merchant_routes import TRACES_PATH
from api.service import Service
from api.wiring import open_service
from domain.store.records.traces import find_trace
from tests.support.calls.merchants import (
    IMAGE_URL,
    MERCHANT,
    OFFER,
    SEED_SAMPLE,
    delete,
    history_of,
    merchant_offer,
    offer_of,
    offer_path,
    outcome_and_version,
    position,
    put,
    trace_of,
    uid_of,
)
from tests.support.examples import PARTNER, batch, body, item
from tests.support.harness import Call, Caller, Clock, MakeToken

pytestmark = pytest.mark.usefixtures("no_rate_limit")


OFFERED = merchant_offer()
RENAMED = merchant_offer(offerName="Juniper Dumpling House")

# The reply


@pytest.mark.parametrize("send", [put, delete])
def test_accepted_request_has_the_reply_of_the_merchant_document(partner: Caller, send: Any) -> None:
    reply = send(partner)
    answer = reply.json()
    assert (reply.status_code, reply.headers["Content-Type"]) == (202, "application/json")
    assert answer == {"message": "Request accepted for processing", "trace_id": answer["trace_id"]}
    assert re.fullmatch(r"req-\w+", answer["trace_id"])
    assert reply.headers["Location"] == f"{TRACES_PATH}/{answer['trace_id']}"


def test_every_request_has_its_own_trace(partner: Caller) -> None:
    traces = [send(partner).json()["trace_id"] for send in (put, put, delete, delete)]
    assert len(set(traces)) == 4


def test_offer_exists_when_its_put_is_answered(partner: Caller) -> None:
    sent = merchant_offer()
    trace = trace_of(partner, put(partner, sent))
    assert trace == {
        "trace_id": trace["trace_id"],
        "outcome": "created",
        "version": 1,
        "warnings": [],
        "offerUid": str(uid_of()),
    }
    offer = offer_of(partner)
    assert (offer["partner"], offer["channel"], offer["status"]) == (PARTNER, "merchant", "active")
    assert (offer["merchantId"], offer["externalId"], offer["version"]) == (MERCHANT, OFFER, 1)
    assert offer["content"] == sent


def test_offer_and_trace_are_durable_when_the_put_is_answered(partner: Caller, service: Service, clock: Clock) -> None:
    trace_id = put(partner).json()["trace_id"]
    with open_service(service.settings, clock) as elsewhere, elsewhere.ledger.recorder.read() as tx:
        trace = find_trace(tx, trace_id)
        events = tx.execute("SELECT count(*) FROM events WHERE topic = 'OfferCreated'").fetchone()[0]
    assert trace is not None
    assert (trace.offer_uid, events) == (uid_of(), 1)


# Effects


def test_traces_report_every_change_of_an_offer(partner: Caller) -> None:
    requests = [None, OFFERED, OFFERED, RENAMED, None, None, RENAMED, None, OFFERED]
    replies = [delete(partner) if content is None else put(partner, content) for content in requests]
    assert [outcome_and_version(partner, reply) for reply in replies] == [
        ("unknown", 0),
        ("created", 1),
        ("unchanged", 1),
        ("updated", 2),
        ("deleted", 3),
        ("unchanged", 3),
        ("restored", 4),
        ("deleted", 5),
        ("restored", 6),
    ]
    assert [event["type"] for event in history_of(partner)] == [
        "OfferCreated",
        "OfferUpdated",
        "OfferDeleted",
        "OfferRestored",
        "OfferDeleted",
        "OfferRestored",
    ]


def test_updated_offer_has_the_new_content(partner: Caller) -> None:
    put(partner)
    put(partner, RENAMED)
    assert offer_of(partner)["content"] == RENAMED
    assert history_of(partner)[-1]["changes"] == [
        {"field": "/content/offerName", "before": "Juniper Noodle House", "after": "Juniper Dumpling House"}
    ]


def test_deleted_offer_can_be_read(partner: Caller) -> None:
    put(partner)
    delete(partner)
    offer = offer_of(partner)
    assert (offer["status"], offer["version"], offer["content"]) == ("deleted", 2, merchant_offer())
    assert offer["deletedAt"] == offer["updatedAt"]


def test_put_restores_a_deleted_offer_with_its_content(partner: Caller) -> None:
    put(partner)
    delete(partner)
    put(partner, RENAMED)
    offer = offer_of(partner)
    assert (offer["status"], offer["deletedAt"], offer["content"]) == ("active", None, RENAMED)


def test_delete_of_an_unknown_offer_creates_no_offer(partner: Caller) -> None:
    before = position(partner)
    trace = trace_of(partner, delete(partner))
    assert (trace["outcome"], trace["version"], trace["offerUid"]) == ("unknown", 0, str(uid_of()))
    assert partner.get(f"/api/v1/offers/{uid_of()}").status_code == 404
    assert position(partner) == before


def test_history_has_the_trace_of_each_change(partner: Caller) -> None:
    replies = [put(partner), delete(partner)]
    history = history_of(partner)
    assert [event["traceId"] for event in history] == [reply.json()["trace_id"] for reply in replies]
    assert {(event["actor"], event["source"], event["runId"]) for event in history} == {
        ("partner-tidepool", "merchant", None)
    }


def test_body_and_content_type_of_a_delete_are_ignored(partner: Caller, subtests: pytest.Subtests) -> None:
    for content, kind in ((b"{", "application/json"), (b"\xff" * 1000, "text/plain"), (b"", ""), (b"[]", "x")):
        with subtests.test(kind):
            put(partner)
            assert outcome_and_version(partner, delete(partner, content=content, Content_Type=kind))[0] == "deleted"


# The same content


def test_same_content_in_another_spelling_changes_nothing(partner: Caller, subtests: pytest.Subtests) -> None:
    sent = merchant_offer(terms={"min": 10, "max": 2.5})
    put(partner, sent)
    before = position(partner)
    text = json.dumps(sent)
    spellings = {
        "the same bytes": text,
        "white space": json.dumps(sent, indent=3),
        "white space around": f"\r\n\t {text}\n",
        "the order of names": json.dumps(dict(reversed(sent.items()))),
        "numbers": text.replace('"min": 10', '"min": 1.0e1'),
        "escapes": text.replace("Juniper", r"\u004auniper").replace("/", r"\/"),
        "null members": text[:-1] + ', "note": null}',
        "an image's other null member": text.replace('"content":', '"url": null, "content":'),
    }
    for name, spelling in spellings.items():
        with subtests.test(name):
            assert outcome_and_version(partner, put(partner, spelling.encode())) == ("unchanged", 1)
    assert position(partner) == before
    assert offer_of(partner)["content"] == sent


def test_other_content_is_an_update(partner: Caller, subtests: pytest.Subtests) -> None:
    put(partner)
    contents = [
        merchant_offer(offerName="juniper noodle house"),
        merchant_offer(image=IMAGE_URL),
        merchant_offer(note=""),
        merchant_offer(note=[None]),
    ]
    for version, content in enumerate(contents, 2):
        with subtests.test(version=version):
            assert outcome_and_version(partner, put(partner, content)) == ("updated", version)


def test_equal_concurrent_puts_create_one_offer(partner: Caller) -> None:
    before = position(partner)
    with ThreadPoolExecutor(16) as pool:
        replies = list(pool.map(lambda _: put(partner), range(32)))
    outcomes = sorted(outcome_and_version(partner, reply) for reply in replies)
    assert outcomes == [("created", 1), *[("unchanged", 1)] * 31]
    assert position(partner) == before + 1


def test_different_concurrent_puts_are_consecutive_versions(partner: Caller) -> None:
    with ThreadPoolExecutor(16) as pool:
        replies = list(pool.map(lambda n: put(partner, merchant_offer(note=n)), range(32)))
    assert sorted(outcome_and_version(partner, reply)[1] for reply in replies) == list(range(1, 33))
    assert [event["version"] for event in history_of(partner)] == list(range(1, 33))


# The vendor's sample


def test_sample_of_the_vendor_is_accepted_with_two_warnings(partner: Caller) -> None:
    trace = trace_of(partner, put(partner, SEED_SAMPLE, "2121", "323232"))
    assert trace["outcome"] == "created"
    assert [warning.partition(":")[0] for warning in trace["warnings"]] == [
        "assets.logo.value.large.url",
        "assets.largeRectangle.value.large.content",
    ]
    assert "google" not in str(trace["warnings"])
    assert offer_of(partner, "2121", "323232")["content"] == SEED_SAMPLE


def test_unchanged_offer_gets_its_warnings_every_time(partner: Caller) -> None:
    replies = [put(partner, SEED_SAMPLE, "2121", "323232") for _ in range(2)]
    traces = [trace_of(partner, reply) for reply in replies]
    assert [trace["outcome"] for trace in traces] == ["created", "unchanged"]
    assert len(traces[1]["warnings"]) == 2


# Other channels and partners


def test_custom_offer_with_the_same_id_is_another_offer(partner: Caller) -> None:
    assert partner.send(body(batch("Insert", [item(OFFER)]))).status_code == 200
    assert outcome_and_version(partner, put(partner)) == ("created", 1)
    assert outcome_and_version(partner, delete(partner)) == ("deleted", 2)
    items = partner.get("/api/v1/offers", externalId=OFFER).json()["items"]
    assert [(offer["channel"], offer["merchantId"], offer["status"]) for offer in items] == [
        ("custom", None, "active"),
        ("merchant", MERCHANT, "deleted"),
    ]


def test_synchronize_does_not_change_merchant_offers(partner: Caller) -> None:
    put(partner)
    assert partner.send(body(batch("Synchronize", [item()]))).status_code == 200
    assert offer_of(partner)["status"] == "active"


def test_same_ids_of_another_partner_are_another_offer(partner: Caller, call: Call, token: MakeToken) -> None:
    other = call(token(partner="harbor"))
    put(partner)
    assert outcome_and_version(other, delete(other)) == ("unknown", 0)
    assert outcome_and_version(other, put(other, RENAMED)) == ("created", 1)
    assert offer_of(partner)["content"] == merchant_offer()
    assert other.get(f"/api/v1/offers/{uid_of()}").status_code == 404


def test_trace_of_another_partner_is_404(partner: Caller, call: Call, token: MakeToken) -> None:
    location = put(partner).headers["Location"]
    other = call(token(partner="harbor"))
    theirs, unknown = (other.get(path) for path in (location, f"{TRACES_PATH}/req-nothing"))
    assert (theirs.status_code, unknown.status_code) == (404, 404)
    assert theirs.json()["detail"] == unknown.json()["detail"]


def test_offer_has_no_other_methods(partner: Caller) -> None:
    replies = [partner.http.request(method, offer_path()) for method in ("GET", "HEAD", "POST", "PATCH", "OPTIONS")]
    assert {(reply.status_code, reply.headers["Allow"]) for reply in replies} == {(405, "DELETE, PUT")}
