"""The trace id of any reply finds the events that its request caused."""

from typing import Any

import httpx2
import pytest

from api.service import Service
from tests.support.calls.merchants import delete, limit, merchant_offer, put, uid_of
from tests.support.calls.publishers import activate, post, redeem
from tests.support.examples import batch, body, item
from tests.support.harness import Caller, Clock

EVENTS = "/api/v1/audit/events"
TRACE_ID = "0af7651916cd43dd8448eb211c80319c"


def types_of(auditor: Caller, trace_id: str, **more: Any) -> list[str]:
    return [event["type"] for event in auditor.get(EVENTS, traceId=trace_id, **more).json()["items"]]


def test_trace_id_finds_the_events_of_its_request(
    partner: Caller, publisher: Caller, auditor: Caller, offer: str, clock: Clock, subtests: pytest.Subtests
) -> None:
    starts_at = f"{(clock.now).date().replace(year=2027)}T00:00:00Z"
    flight = {"startsAt": starts_at, "redemptionWindowDays": 30}
    lines = body({"customerId": "C-2", "offerUid": offer})
    as_lines = {"Content-Type": "application/x-ndjson"}
    requests: list[tuple[str, httpx2.Response]] = [
        ("FlightScheduled", post(publisher, f"/api/v1/offers/{offer}/flights", **flight)),
        ("OfferActivated", activate(publisher, offer)),
        ("OfferActivated", publisher.http.post("/api/v1/activations/batch", content=lines, headers=as_lines)),
        ("OfferRedeemed", redeem(publisher, offer, clock.now)),
        ("OfferCreated", partner.send(body(batch("Insert", [item()])))),
        ("OfferUpdated", put(partner, merchant_offer(offerName="Another"))),
        ("OfferDeleted", delete(partner)),
    ]
    for kind, reply in requests:
        with subtests.test(str(reply.request.url)):
            assert reply.status_code < 300, reply.text
            assert types_of(auditor, reply.headers["Trace-Id"]) == [kind]


def test_both_ids_of_a_single_request_find_its_events(partner: Caller, auditor: Caller, service: Service) -> None:
    limit(service)
    reply = put(partner, traceparent=f"cc-{TRACE_ID}-b7ad6b7169203331-01")
    assert reply.headers["Trace-Id"] == TRACE_ID
    assert types_of(auditor, TRACE_ID) == types_of(auditor, reply.json()["trace_id"]) == ["OfferCreated"]
    assert types_of(auditor, TRACE_ID, type="OfferDeleted") == []
    assert types_of(auditor, TRACE_ID, offerUid=str(uid_of())) == ["OfferCreated"]
    assert types_of(auditor, TRACE_ID[::-1]) == []


def test_requests_of_one_trace_are_found_together(partner: Caller, auditor: Caller, service: Service) -> None:
    limit(service)
    traceparent = f"00-{TRACE_ID}-b7ad6b7169203331-01"
    put(partner, traceparent=traceparent)
    delete(partner, traceparent=traceparent)
    assert types_of(auditor, TRACE_ID) == ["OfferCreated", "OfferDeleted"]
    events = auditor.get(EVENTS, traceId=TRACE_ID, limit=1).json()
    assert types_of(auditor, TRACE_ID, limit=1, cursor=events["nextCursor"]) == ["OfferDeleted"]
