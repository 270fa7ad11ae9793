"""The list of all events, and its streams, over the wire. (Contract, section 6.)"""

import json
import threading
from typing import Any

import pytest

from api.http.row_formats import CLOUD_EVENTS, CSV, LINES
from api.service import Service
from domain.values import Operation, utc_text
from tests.support.calls.merchants import delete, merchant_offer, put
from tests.support.calls.paging import items_of, pages
from tests.support.calls.publishers import activate, problem, redeem
from tests.support.examples import item
from tests.support.harness import Call, Caller, Clock, MakeToken, run_batch

EVENTS = "/api/v1/audit/events"


def lines(caller: Caller, accept: str = LINES, **wanted: Any) -> list[Any]:
    reply = caller.get(EVENTS, {"Accept": accept}, **wanted)
    assert reply.status_code == 200, reply.text
    assert reply.headers["Content-Type"].partition(";")[0] == accept
    return [json.loads(line) for line in reply.text.splitlines()]


def changes(event: dict[str, Any]) -> dict[str, Any]:
    return {change["field"]: change["after"] for change in event["changes"]}


def test_the_list_tells_of_each_event_what_the_history_tells(auditor: Caller, offer: str) -> None:
    (told,) = items_of(auditor.get(EVENTS, offerUid=offer))
    assert told == items_of(auditor.get(f"/api/v1/offers/{offer}/history"))[0]
    assert (told["type"], told["actor"], told["partner"]) == ("OfferCreated", "partner-tidepool", "tidepool")


def test_events_of_an_offer_are_those_of_its_activations_and_redemptions_too(
    auditor: Caller, publisher: Caller, offer: str, clock: Clock
) -> None:
    activate(publisher, offer)
    clock.move(days=1)
    redeem(publisher, offer, clock.now)
    told = items_of(auditor.get(EVENTS, offerUid=offer))
    assert [event["type"] for event in told] == ["OfferCreated", "OfferActivated", "OfferRedeemed"]
    assert changes(told[2])["/customerId"] == "C-1"


def test_a_partner_sees_what_is_its_own_and_its_customers_under_their_pseudonyms(
    partner: Caller, publisher: Caller, offer: str, clock: Clock, call: Call, token: MakeToken
) -> None:
    activate(publisher, offer)
    clock.move(days=1)
    redeem(publisher, offer, clock.now)
    told = items_of(partner.get(EVENTS))
    names = {changes(event)["/customerId"] for event in told if event["type"] in {"OfferActivated", "OfferRedeemed"}}
    assert len(names) == 1
    assert "C-1" not in json.dumps(told)
    assert lines(partner) == told
    harbor = call(token(partner="harbor"))
    assert {event["partner"] for event in items_of(harbor.get(EVENTS))} == {"harbor"}
    for wanted in ({"partner": "tidepool"}, {"offerUid": offer}):
        assert items_of(harbor.get(EVENTS, None, **wanted)) == []
        assert lines(harbor, **wanted) == []


def test_publishers_do_not_audit(publisher: Caller) -> None:
    assert publisher.get(EVENTS).status_code == 403


@pytest.mark.parametrize(
    ("asked", "place"),
    [
        ({"type": "OfferVanished"}, "/query/type"),
        ({"offerUid": "x"}, "/query/offerUid"),
        ({"runId": "x"}, "/query/runId"),
        ({"from": "yesterday"}, "/query/from"),
        ({"from": "2026-11-22T00:00:00Z", "to": "2026-11-21T00:00:00Z"}, "/query/to"),
        ({"afterPosition": "-1"}, "/query/afterPosition"),
        ({"limit": "1001"}, "/query/limit"),
        ({"cursor": "x"}, "/query/cursor"),
        ({"colour": "red"}, "/query/colour"),
    ],
)
def test_what_is_not_in_order_is_422_and_names_the_parameter(auditor: Caller, asked: Any, place: str) -> None:
    for accept in ("application/json", LINES):
        reply = auditor.get(EVENTS, {"Accept": accept}, **asked)
        assert problem(reply) == (422, "validation-error", [place])


def test_pages_go_on_where_the_one_before_ended_while_events_arrive(
    partner: Caller, auditor: Caller, service: Service, offer: str
) -> None:
    assert offer
    run_batch(service.ledger, Operation.SYNCHRONIZE, [item(f"TP-{number}") for number in range(5)])
    told: list[int] = []
    for number, page in enumerate(pages(auditor, EVENTS, limit=2)):
        told += [event["position"] for event in page]
        if number < 3:
            assert put(partner, merchant_offer(offerName=f"name {number}")).status_code == 202
    assert told == list(range(1, len(told) + 1))
    assert told[-1] == service.ledger.recorder.max_notification_id()


def test_a_cursor_belongs_to_its_filters(auditor: Caller, offer: str) -> None:
    assert offer
    cursor = auditor.get(EVENTS, limit=1).json()["nextCursor"]
    assert problem(auditor.get(EVENTS, type="OfferCreated", cursor=cursor))[2] == ["/query/cursor"]


def test_a_span_begins_with_its_first_instant_and_ends_before_its_last(
    partner: Caller, auditor: Caller, offer: str, clock: Clock
) -> None:
    assert offer
    clock.move(days=1)
    delete(partner)
    (told,) = items_of(auditor.get(EVENTS, type="OfferDeleted"))
    at, later = told["recordedAt"], utc_text(clock.now.replace(hour=23))
    assert items_of(auditor.get(EVENTS, None, type="OfferDeleted", **{"from": at, "to": later})) == [told]
    assert items_of(auditor.get(EVENTS, None, type="OfferDeleted", to=at)) == []


# Streams


@pytest.mark.parametrize(
    ("accept", "form"),
    [
        ("text/csv", CSV),
        ("application/x-ndjson, application/json;q=0.9", LINES),
        ("application/json;q=0.1, application/cloudevents+json", CLOUD_EVENTS),
        ("text/*", CSV),
        ("*/*", "application/json"),
        ("text/csv;q=0, */*", "application/json"),
        ("text/html", "application/json"),
        ("TEXT/CSV; q=0.3, application/json; q=0.2", CSV),
        ("text/csv;q=much", "application/json"),
        ("", "application/json"),
    ],
)
def test_the_form_is_the_one_that_is_wanted_most(auditor: Caller, accept: str, form: str) -> None:
    reply = auditor.get(EVENTS, {"Accept": accept})
    assert (reply.status_code, reply.headers["Content-Type"].partition(";")[0]) == (200, form)


def test_a_stream_has_no_limit_of_its_own_and_is_resumed_from_a_position(auditor: Caller, service: Service) -> None:
    run_batch(service.ledger, Operation.INSERT, [item(f"TP-{number}") for number in range(1200)])
    told = [event["position"] for event in lines(auditor)]
    assert told == list(range(1, len(told) + 1))
    assert [event["position"] for event in lines(auditor, afterPosition=told[1000])] == told[1001:]
    assert [event["position"] for event in lines(auditor, afterPosition=7, limit=600)] == told[7:607]


def test_a_stream_goes_on_after_a_page(auditor: Caller, offer: str) -> None:
    assert offer
    reply = auditor.get(EVENTS, limit=2).json()
    assert reply["items"] + lines(auditor, cursor=reply["nextCursor"]) == lines(auditor)


def test_a_cloud_event_says_what_it_has_to(auditor: Caller, offer: str) -> None:
    (told,) = lines(auditor, CLOUD_EVENTS, offerUid=offer)
    (event,) = items_of(auditor.get(EVENTS, offerUid=offer))
    (other,) = lines(auditor, CLOUD_EVENTS, type="PartnerRegistered")
    assert told["source"] == other["source"]
    assert len(told["source"].removeprefix("urn:offer-ledger:")) == 32
    assert "subject" not in other
    assert told == {
        "specversion": "1.0",
        "id": str(event["position"]),
        "source": told["source"],
        "type": "OfferCreated",
        "subject": offer,
        "time": event["recordedAt"],
        "datacontenttype": "application/json",
        "data": event,
    }


def test_streams_and_pages_under_concurrent_writes_have_each_event_once(
    partner: Caller, auditor: Caller, service: Service, offer: str
) -> None:
    assert offer
    written: list[int] = []
    done = threading.Event()

    def write() -> None:
        for number in range(60):
            assert put(partner, merchant_offer(offerName=f"name {number}")).status_code == 202
            if number % 20 == 0:
                run_batch(service.ledger, Operation.INSERT, [item(f"TP-{number}-{n}") for n in range(400)])
            written.append(number)
        done.set()

    writer = threading.Thread(target=write)
    writer.start()
    seen: list[int] = []
    while not done.is_set():
        streamed = [event["position"] for event in lines(auditor)]
        assert streamed == list(range(1, len(streamed) + 1))
        paged = [event["position"] for page in pages_of(auditor, limit=97) for event in page]
        assert paged == list(range(1, len(paged) + 1))
        seen.append(len(paged))
    writer.join()
    assert len(written) == 60
    assert len(seen) > 1


def pages_of(caller: Caller, **wanted: Any) -> list[list[Any]]:
    found, cursor = [], None
    while True:
        reply = caller.get(EVENTS, None, **wanted, **({"cursor": cursor} if cursor else {})).json()
        found.append(reply["items"])
        cursor = reply["nextCursor"]
        if cursor is None:
            return found
