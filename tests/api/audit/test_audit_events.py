"""Tests of the list of events and its streams over HTTP (contract, section 6)."""

import json
import threading
from typing import Any

import pytest

from api.audit.row_formats import CLOUD_EVENTS, CSV, LINES
from api.service import Service
from domain.values import Operation, utc_text
from tests.support.calls.merchants import delete, merchant_offer, put
from tests.support.calls.paging import items_of, pages
from tests.support.calls.publishers import activate, problem, redeem
from tests.support.examples import item
from tests.support.harness import Call, Caller, Clock, MakeToken, run_batch

EVENTS = "/api/v1/audit/events"


def lines(caller: Caller, accept: str = LINES, **parameters: Any) -> list[Any]:
    reply = caller.get(EVENTS, {"Accept": accept}, **parameters)
    assert reply.status_code == 200, reply.text
    assert reply.headers["Content-Type"].partition(";")[0] == accept
    return [json.loads(line) for line in reply.text.splitlines()]


def changes(event: dict[str, Any]) -> dict[str, Any]:
    return {change["field"]: change["after"] for change in event["changes"]}


def test_events_list_equals_offer_history(auditor: Caller, offer: str) -> None:
    (event,) = items_of(auditor.get(EVENTS, offerUid=offer))
    assert event == items_of(auditor.get(f"/api/v1/offers/{offer}/history"))[0]
    assert (event["type"], event["actor"], event["partner"]) == ("OfferCreated", "partner-tidepool", "tidepool")


def test_events_are_those_of_the_requested_source(auditor: Caller, publisher: Caller, offer: str) -> None:
    activate(publisher, offer)
    events = items_of(auditor.get(EVENTS, source="publisher"))
    assert [event["type"] for event in events] == ["OfferActivated"]
    assert lines(auditor, source="publisher") == events
    assert auditor.get(EVENTS, source="nowhere").status_code == 422


def test_events_of_offer_include_its_activations_and_redemptions(
    auditor: Caller, publisher: Caller, offer: str, clock: Clock
) -> None:
    activate(publisher, offer)
    clock.move(days=1)
    redeem(publisher, offer, clock.now)
    events = items_of(auditor.get(EVENTS, offerUid=offer))
    assert [event["type"] for event in events] == ["OfferCreated", "OfferActivated", "OfferRedeemed"]
    assert changes(events[2])["/customerId"] == "C-1"


def test_partner_sees_only_own_events_with_pseudonyms(
    partner: Caller, publisher: Caller, offer: str, clock: Clock, call: Call, token: MakeToken
) -> None:
    activate(publisher, offer)
    clock.move(days=1)
    redeem(publisher, offer, clock.now)
    events = items_of(partner.get(EVENTS))
    names = {changes(event)["/customerId"] for event in events if event["type"] in {"OfferActivated", "OfferRedeemed"}}
    assert len(names) == 1
    assert "C-1" not in json.dumps(events)
    assert lines(partner) == events
    harbor = call(token(partner="harbor"))
    assert {event["partner"] for event in items_of(harbor.get(EVENTS))} == {"harbor"}
    for parameters in ({"partner": "tidepool"}, {"offerUid": offer}):
        assert items_of(harbor.get(EVENTS, None, **parameters)) == []
        assert lines(harbor, **parameters) == []


def test_publisher_may_not_list_events(publisher: Caller) -> None:
    assert publisher.get(EVENTS).status_code == 403


@pytest.mark.parametrize(
    ("parameters", "pointer"),
    [
        ({"type": "OfferVanished"}, "/query/type"),
        ({"offerUid": "x"}, "/query/offerUid"),
        ({"runId": "x"}, "/query/runId"),
        ({"from": "yesterday"}, "/query/from"),
        ({"from": "2026-11-22T00:00:00Z", "to": "2026-11-21T00:00:00Z"}, "/query/to"),
        ({"source": "fax"}, "/query/source"),
        ({"order": "sideways"}, "/query/order"),
        ({"afterPosition": "-1"}, "/query/afterPosition"),
        ({"limit": "1001"}, "/query/limit"),
        ({"cursor": "x"}, "/query/cursor"),
        ({"colour": "red"}, "/query/colour"),
    ],
)
def test_invalid_event_parameter_is_422_with_its_pointer(auditor: Caller, parameters: Any, pointer: str) -> None:
    for accept in ("application/json", LINES):
        reply = auditor.get(EVENTS, {"Accept": accept}, **parameters)
        assert problem(reply) == (422, "validation-error", [pointer])


@pytest.mark.parametrize(
    ("name", "words"),
    [("source", ["custom", "merchant", "file", "publisher", "operator", "console", "cli"]), ("order", ["asc", "desc"])],
)
def test_refusal_of_a_word_lists_the_known_words(auditor: Caller, name: str, words: list[str]) -> None:
    (error,) = auditor.get(EVENTS, None, **{name: "fax"}).json()["errors"]
    assert all(word in error["message"] for word in words)
    for word in words:
        assert auditor.get(EVENTS, None, **{name: word}).status_code == 200


@pytest.mark.parametrize("accept", ["application/json", LINES])
def test_position_ahead_of_the_ledger_is_422(auditor: Caller, offer: str, accept: str) -> None:
    newest = items_of(auditor.get(EVENTS, offerUid=offer))[-1]["position"]
    assert auditor.get(EVENTS, {"Accept": accept}, afterPosition=newest).status_code == 200
    refused = problem(auditor.get(EVENTS, {"Accept": accept}, afterPosition=newest + 99))
    assert refused == (422, "validation-error", ["/query/afterPosition"])


def test_pages_continue_without_gaps_while_events_arrive(
    partner: Caller, auditor: Caller, service: Service, offer: str
) -> None:
    assert offer
    run_batch(service.ledger, Operation.SYNCHRONIZE, [item(f"TP-{number}") for number in range(5)])
    positions: list[int] = []
    for number, page in enumerate(pages(auditor, EVENTS, limit=2)):
        positions += [event["position"] for event in page]
        if number < 3:
            assert put(partner, merchant_offer(offerName=f"name {number}")).status_code == 202
    assert positions == list(range(1, len(positions) + 1))
    assert positions[-1] == service.ledger.recorder.max_notification_id()


def test_pages_of_the_newest_first_are_stable_while_events_arrive(
    partner: Caller, auditor: Caller, service: Service, offer: str
) -> None:
    assert offer
    run_batch(service.ledger, Operation.SYNCHRONIZE, [item(f"TP-{number}") for number in range(5)])
    newest = service.ledger.recorder.max_notification_id() or 0
    positions: list[int] = []
    for number, page in enumerate(pages(auditor, EVENTS, order="desc", afterPosition=2, limit=2)):
        positions += [event["position"] for event in page]
        assert put(partner, merchant_offer(offerName=f"name {number}")).status_code == 202
    assert positions == list(range(newest, 2, -1))


@pytest.mark.parametrize("other", [{"type": "OfferCreated"}, {"source": "cli"}, {"order": "desc"}])
def test_cursor_of_events_belongs_to_its_filters(auditor: Caller, offer: str, other: dict[str, str]) -> None:
    assert offer
    cursor = auditor.get(EVENTS, limit=1).json()["nextCursor"]
    assert problem(auditor.get(EVENTS, None, **other, cursor=cursor))[2] == ["/query/cursor"]


def test_time_range_includes_from_and_excludes_to(partner: Caller, auditor: Caller, offer: str, clock: Clock) -> None:
    assert offer
    clock.move(days=1)
    delete(partner)
    (event,) = items_of(auditor.get(EVENTS, type="OfferDeleted"))
    at, later = event["recordedAt"], utc_text(clock.now.replace(hour=23))
    assert items_of(auditor.get(EVENTS, None, type="OfferDeleted", **{"from": at, "to": later})) == [event]
    assert items_of(auditor.get(EVENTS, None, type="OfferDeleted", to=at)) == []


# Streams


@pytest.mark.parametrize(
    ("accept", "media_type"),
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
def test_accept_header_selects_the_media_type(auditor: Caller, accept: str, media_type: str) -> None:
    reply = auditor.get(EVENTS, {"Accept": accept})
    assert (reply.status_code, reply.headers["Content-Type"].partition(";")[0]) == (200, media_type)


def test_stream_has_no_default_limit_and_resumes_after_position(auditor: Caller, service: Service) -> None:
    run_batch(service.ledger, Operation.INSERT, [item(f"TP-{number}") for number in range(1200)])
    positions = [event["position"] for event in lines(auditor)]
    assert positions == list(range(1, len(positions) + 1))
    assert [event["position"] for event in lines(auditor, afterPosition=positions[1000])] == positions[1001:]
    assert [event["position"] for event in lines(auditor, afterPosition=7, limit=600)] == positions[7:607]


@pytest.mark.parametrize("order", ["asc", "desc"])
def test_stream_continues_after_a_page(auditor: Caller, offer: str, order: str) -> None:
    assert offer
    reply = auditor.get(EVENTS, limit=2, order=order).json()
    assert reply["items"] + lines(auditor, cursor=reply["nextCursor"], order=order) == lines(auditor, order=order)


def test_stream_of_the_newest_first_is_the_reverse(auditor: Caller, service: Service) -> None:
    run_batch(service.ledger, Operation.INSERT, [item(f"TP-{number}") for number in range(1200)])
    newest_first = lines(auditor, order="desc", afterPosition=7)
    assert newest_first == lines(auditor, afterPosition=7)[::-1]
    assert lines(auditor, order="desc", limit=600) == newest_first[:600]


def test_cloud_event_has_the_required_attributes(auditor: Caller, offer: str) -> None:
    (cloud_event,) = lines(auditor, CLOUD_EVENTS, offerUid=offer)
    (event,) = items_of(auditor.get(EVENTS, offerUid=offer))
    (other,) = lines(auditor, CLOUD_EVENTS, type="PartnerRegistered")
    assert cloud_event["source"] == other["source"]
    assert len(cloud_event["source"].removeprefix("urn:offer-ledger:")) == 32
    assert "subject" not in other
    assert cloud_event == {
        "specversion": "1.0",
        "id": str(event["position"]),
        "source": cloud_event["source"],
        "type": "OfferCreated",
        "subject": offer,
        "time": event["recordedAt"],
        "datacontenttype": "application/json",
        "data": event,
    }


def test_streams_and_pages_have_each_event_once_during_writes(
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
    page_counts: list[int] = []
    while not done.is_set():
        streamed = [event["position"] for event in lines(auditor)]
        assert streamed == list(range(1, len(streamed) + 1))
        paged = [event["position"] for page in pages_of(auditor, limit=97) for event in page]
        assert paged == list(range(1, len(paged) + 1))
        page_counts.append(len(paged))
    writer.join()
    assert len(written) == 60
    assert len(page_counts) > 1


def pages_of(caller: Caller, **parameters: Any) -> list[list[Any]]:
    found_pages, cursor = [], None
    while True:
        reply = caller.get(EVENTS, None, **parameters, **({"cursor": cursor} if cursor else {})).json()
        found_pages.append(reply["items"])
        cursor = reply["nextCursor"]
        if cursor is None:
            return found_pages
