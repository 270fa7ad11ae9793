"""Tests of the live stream of events over HTTP (contract, section 6; WHATWG HTML, 9.2)."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from api.audit import stream_routes
from api.service import Service
from api.settings import Settings
from api.wiring import open_service
from domain.access.token import RevokeToken
from domain.store.postgres import notifications
from domain.values import Operation, Role
from tests.support.calls.merchants import merchant_offer, put
from tests.support.calls.paging import items_of
from tests.support.calls.publishers import activate, problem
from tests.support.engine import only_postgres
from tests.support.examples import item
from tests.support.harness import OPERATOR, Call, Caller, Clock, MakeToken, run_batch
from tests.support.postgres.listeners import listeners, terminate
from tests.support.waiting import wait_until

STREAM = "/api/v1/audit/stream"
EVENTS = "/api/v1/audit/events"


@contextmanager
def follow(caller: Caller, last: int | None = None, **parameters: Any) -> Iterator[Iterator[dict[str, Any]]]:
    """Follows the stream. Yields its messages as they arrive, each a dict of its fields."""
    headers = {} if last is None else {"Last-Event-ID": str(last)}
    with caller.http.stream("GET", STREAM, params=parameters, headers=headers) as reply:
        assert reply.status_code == 200
        assert reply.headers["Content-Type"].startswith("text/event-stream")
        yield messages(reply.iter_lines())


def messages(lines: Iterator[str]) -> Iterator[dict[str, Any]]:
    fields: dict[str, Any] = {}
    for line in lines:
        if not line:
            if fields:
                yield fields
            fields = {}
        elif not line.startswith(":"):
            name, _, value = line.partition(": ")
            fields[name] = json.loads(value) if name == "data" else value


def events(stream: Iterator[dict[str, Any]], count: int) -> list[dict[str, Any]]:
    """Returns the next `count` events. Other messages only report the position up to which the ledger was read."""
    with_data = (message for message in stream if "data" in message)
    return [next(with_data) for _ in range(count)]


@pytest.fixture
def stocked(service: Service, offer: str) -> int:
    """The newest position of a ledger with a merchant offer and a batch."""
    assert offer
    run_batch(service.ledger, Operation.INSERT, [item(f"TP-{number}") for number in range(3)])
    return service.ledger.recorder.max_notification_id() or 0


def test_events_are_streamed_as_they_are_recorded(partner: Caller, auditor: Caller, stocked: int) -> None:
    with follow(auditor) as stream:
        assert put(partner, merchant_offer(offerName="two")).status_code == 202
        (message,) = events(stream, 1)
    (event,) = items_of(auditor.get(EVENTS, afterPosition=stocked))
    assert message == {"id": str(stocked + 1), "event": "OfferUpdated", "data": event}


def test_reconnected_client_continues_after_the_last_event(auditor: Caller, stocked: int) -> None:
    with follow(auditor, afterPosition=0) as stream:
        first = [int(message["id"]) for message in events(stream, stocked)]
    assert auditor.get(STREAM, {"Last-Event-ID": ""}, limit=1).status_code == 422  # only because of the limit
    with follow(auditor, last=2, afterPosition=0) as stream:
        resumed = [int(message["id"]) for message in events(stream, stocked - 2)]
    assert (first, resumed) == (list(range(1, stocked + 1)), list(range(3, stocked + 1)))


def test_stream_sends_its_position_if_no_event_matches(auditor: Caller, stocked: int) -> None:
    with follow(auditor, afterPosition=0, type="TokenRevoked") as stream:
        assert next(stream) == {"id": str(stocked)}


def test_stream_has_the_filters_of_the_list(auditor: Caller, stocked: int) -> None:
    parameters: dict[str, Any] = {"type": "OfferCreated", "actor": "tide-feed"}
    with follow(auditor, afterPosition=0, **parameters) as stream:
        streamed = [message["data"] for message in events(stream, 3)]
    assert stocked
    assert streamed == items_of(auditor.get(EVENTS, None, **parameters))


def test_partner_follows_only_its_own_events(
    partner: Caller, publisher: Caller, call: Call, token: MakeToken, offer: str, stocked: int
) -> None:
    harbor = call(token(partner="harbor"))
    activate(publisher, offer)
    with follow(partner, last=stocked) as stream:
        (message,) = events(stream, 1)
        assert message["event"] == "OfferActivated"
        assert "C-1" not in json.dumps(message)
    with follow(harbor, last=stocked, partner="tidepool") as stream:
        assert "data" not in next(stream)


def test_stream_has_each_event_once_during_runs_and_requests(
    partner: Caller, auditor: Caller, service: Service, stocked: int
) -> None:
    def write() -> None:
        for number in range(30):
            assert put(partner, merchant_offer(offerName=f"name {number}")).status_code == 202
            if number % 10 == 5:
                run_batch(service.ledger, Operation.INSERT, [item(f"TP-{number}-{n}") for n in range(1000)])

    writer = threading.Thread(target=write)
    with follow(auditor, last=stocked) as stream:
        writer.start()
        positions = [int(message["id"]) for message in events(stream, 30 + 3 * 1000)]
    writer.join()
    assert positions == list(range(stocked + 1, stocked + 3031))


@only_postgres
def test_commit_of_another_process_is_streamed_at_once(
    settings: Settings, auditor: Caller, stocked: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither a poll of the ledger nor a keep-alive message finds the commit."""
    monkeypatch.setattr(notifications, "LISTEN_TIMEOUT_SECONDS", 600)
    monkeypatch.setattr(stream_routes, "SILENT_SECONDS", 600)
    with follow(auditor, last=stocked) as stream, open_service(settings, Clock()) as other:
        next(stream)
        wait_until(lambda: listeners(settings) != [])
        run_batch(other.ledger, Operation.INSERT, [item("TP-elsewhere")])
        (message,) = events(stream, 1)
    assert int(message["id"]) == stocked + 1


@only_postgres
def test_stream_survives_lost_listening_connections_without_gaps(
    settings: Settings, partner: Caller, auditor: Caller, stocked: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notifications, "RELISTEN_DELAY_SECONDS", 0.3)
    with follow(auditor, last=stocked) as stream:
        positions: list[int] = []
        for number in range(40):
            assert put(partner, merchant_offer(offerName=f"name {number}")).status_code == 202
            positions += [int(message["id"]) for message in events(stream, 1)]
            if number % 10 == 5:
                wait_until(lambda: listeners(settings) != [])
                terminate(settings, listeners(settings))
    assert positions == list(range(stocked + 1, stocked + 41))


@only_postgres
def test_service_listens_only_while_clients_follow(settings: Settings, auditor: Caller, stocked: int) -> None:
    assert listeners(settings) == []
    with follow(auditor, last=stocked):
        wait_until(lambda: len(listeners(settings)) == 1)
    wait_until(lambda: listeners(settings) == [])


def test_stream_ends_when_its_token_is_revoked(
    service: Service, call: Call, token: MakeToken, partner: Caller, stocked: int
) -> None:
    auditor = call(token(Role.AUDITOR, name="brief"))
    with follow(auditor, last=stocked + 1) as stream:
        service.ledger.handle(RevokeToken("brief"), OPERATOR)
        assert put(partner, merchant_offer(offerName="two")).status_code == 202
        assert [message for message in stream if "data" in message] == []


def test_silent_stream_sends_its_position_as_keep_alive(
    auditor: Caller, stocked: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream_routes, "SILENT_SECONDS", 0.05)
    with follow(auditor, last=stocked) as stream:
        assert [next(stream), next(stream)] == [{"id": str(stocked)}] * 2


@pytest.mark.parametrize(
    ("last", "parameters", "pointer"),
    [
        ("x", {}, "/header/Last-Event-ID"),
        ("1000000", {}, "/header/Last-Event-ID"),
        (None, {"afterPosition": "1000000"}, "/query/afterPosition"),
        (None, {"limit": "3"}, "/query/limit"),
        (None, {"offerUid": "x"}, "/query/offerUid"),
    ],
)
def test_invalid_stream_parameter_is_422_with_its_pointer(
    auditor: Caller, last: str | None, parameters: dict[str, str], pointer: str
) -> None:
    reply = auditor.get(STREAM, {"Last-Event-ID": last} if last else None, **parameters)
    assert problem(reply) == (422, "validation-error", [pointer])


def test_publisher_may_not_follow_events(publisher: Caller) -> None:
    assert publisher.get(STREAM).status_code == 403
