"""The ledger is followed as it grows, over the wire. (Contract, section 6; WHATWG HTML, 9.2.)"""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from api.audit import stream_routes
from api.server import ledger_watcher
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
from tests.support.postgres.listeners import end, listeners
from tests.support.processes.fault_server import until

STREAM = "/api/v1/audit/stream"
EVENTS = "/api/v1/audit/events"


@contextmanager
def following(caller: Caller, last: int | None = None, **wanted: Any) -> Iterator[Iterator[dict[str, Any]]]:
    """Messages as they come, each with its fields."""
    headers = {} if last is None else {"Last-Event-ID": str(last)}
    with caller.http.stream("GET", STREAM, params=wanted, headers=headers, timeout=20) as reply:
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


def events(told: Iterator[dict[str, Any]], count: int) -> list[dict[str, Any]]:
    """The next ones; other messages only say how far the ledger has been read."""
    with_data = (message for message in told if "data" in message)
    return [next(with_data) for _ in range(count)]


@pytest.fixture
def stocked(service: Service, offer: str) -> int:
    """The newest position of a ledger that holds a merchant offer and a batch."""
    assert offer
    run_batch(service.ledger, Operation.INSERT, [item(f"TP-{number}") for number in range(3)])
    return service.ledger.recorder.max_notification_id() or 0


def test_events_are_told_as_they_are_recorded(partner: Caller, auditor: Caller, stocked: int) -> None:
    with following(auditor) as told:
        assert put(partner, merchant_offer(offerName="two")).status_code == 202
        (message,) = events(told, 1)
    (event,) = items_of(auditor.get(EVENTS, afterPosition=stocked))
    assert message == {"id": str(stocked + 1), "event": "OfferUpdated", "data": event}


def test_who_comes_back_goes_on_after_the_last_event(auditor: Caller, stocked: int) -> None:
    with following(auditor, afterPosition=0) as told:
        first = [int(message["id"]) for message in events(told, stocked)]
    assert auditor.get(STREAM, {"Last-Event-ID": ""}, limit=1).status_code == 422  # for the limit alone
    with following(auditor, last=2, afterPosition=0) as told:
        again = [int(message["id"]) for message in events(told, stocked - 2)]
    assert (first, again) == (list(range(1, stocked + 1)), list(range(3, stocked + 1)))


def test_where_nothing_matches_the_place_is_told_all_the_same(auditor: Caller, stocked: int) -> None:
    with following(auditor, afterPosition=0, type="TokenRevoked") as told:
        assert next(told) == {"id": str(stocked)}


def test_the_filters_are_those_of_the_list(auditor: Caller, stocked: int) -> None:
    wanted: dict[str, Any] = {"type": "OfferCreated", "actor": "tide-feed"}
    with following(auditor, afterPosition=0, **wanted) as told:
        found = [message["data"] for message in events(told, 3)]
    assert stocked
    assert found == items_of(auditor.get(EVENTS, None, **wanted))


def test_a_partner_follows_what_is_its_own(
    partner: Caller, publisher: Caller, call: Call, token: MakeToken, offer: str, stocked: int
) -> None:
    harbor = call(token(partner="harbor"))
    activate(publisher, offer)
    with following(partner, last=stocked) as told:
        (message,) = events(told, 1)
        assert message["event"] == "OfferActivated"
        assert "C-1" not in json.dumps(message)
    with following(harbor, last=stocked, partner="tidepool") as told:
        assert "data" not in next(told)


def test_no_event_is_skipped_or_repeated_while_large_runs_and_single_requests_commit(
    partner: Caller, auditor: Caller, service: Service, stocked: int
) -> None:
    def write() -> None:
        for number in range(30):
            assert put(partner, merchant_offer(offerName=f"name {number}")).status_code == 202
            if number % 10 == 5:
                run_batch(service.ledger, Operation.INSERT, [item(f"TP-{number}-{n}") for n in range(1000)])

    writer = threading.Thread(target=write)
    with following(auditor, last=stocked) as told:
        writer.start()
        positions = [int(message["id"]) for message in events(told, 30 + 3 * 1000)]
    writer.join()
    assert positions == list(range(stocked + 1, stocked + 3031))


@only_postgres
def test_what_another_process_commits_is_told_at_once(
    settings: Settings, auditor: Caller, stocked: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notifications, "LOOKS_WHILE_LISTENING_SECONDS", 600)
    with following(auditor, last=stocked) as told, open_service(settings, Clock()) as other:
        next(told)
        until(lambda: listeners(settings) != [])
        began = time.monotonic()
        run_batch(other.ledger, Operation.INSERT, [item("TP-elsewhere")])
        (message,) = events(told, 1)
    assert int(message["id"]) == stocked + 1
    assert time.monotonic() - began < stream_routes.SILENT_SECONDS / 2


@only_postgres
def test_who_can_not_listen_any_more_is_told_all_the_same_and_each_event_once(
    settings: Settings, partner: Caller, auditor: Caller, stocked: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notifications, "LISTENS_AGAIN_AFTER_SECONDS", 0.3)
    with following(auditor, last=stocked) as told:
        positions: list[int] = []
        for number in range(40):
            assert put(partner, merchant_offer(offerName=f"name {number}")).status_code == 202
            positions += [int(message["id"]) for message in events(told, 1)]
            if number % 10 == 5:
                until(lambda: listeners(settings) != [])
                end(settings, listeners(settings))
    assert positions == list(range(stocked + 1, stocked + 41))


@only_postgres
def test_nobody_listens_when_nobody_follows(settings: Settings, auditor: Caller, stocked: int) -> None:
    assert listeners(settings) == []
    with following(auditor, last=stocked):
        until(lambda: len(listeners(settings)) == 1)
    until(lambda: listeners(settings) == [])


def test_a_stream_ends_when_its_token_is_revoked(
    service: Service, call: Call, token: MakeToken, partner: Caller, stocked: int
) -> None:
    auditor = call(token(Role.AUDITOR, name="brief"))
    with following(auditor, last=stocked + 1) as told:
        service.ledger.handle(RevokeToken("brief"), OPERATOR)
        assert put(partner, merchant_offer(offerName="two")).status_code == 202
        assert [message for message in told if "data" in message] == []


def test_silence_is_broken_and_tells_the_place(auditor: Caller, stocked: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream_routes, "SILENT_SECONDS", 0.05)
    with following(auditor, last=stocked) as told:
        assert [next(told), next(told)] == [{"id": str(stocked)}] * 2


@pytest.mark.parametrize(
    ("last", "asked", "place"),
    [
        ("x", {}, "/header/Last-Event-ID"),
        ("1000000", {}, "/header/Last-Event-ID"),
        (None, {"afterPosition": "1000000"}, "/query/afterPosition"),
        (None, {"limit": "3"}, "/query/limit"),
        (None, {"offerUid": "x"}, "/query/offerUid"),
    ],
)
def test_what_is_not_in_order_is_422_and_names_the_place(
    auditor: Caller, last: str | None, asked: dict[str, str], place: str
) -> None:
    reply = auditor.get(STREAM, {"Last-Event-ID": last} if last else None, **asked)
    assert problem(reply) == (422, "validation-error", [place])


@pytest.fixture
def room_for_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger_watcher, "MAX_FOLLOWERS", 1)


@pytest.mark.usefixtures("room_for_one")
def test_followers_are_bounded_and_whoever_goes_gives_the_place_to_another(call: Call, token: MakeToken) -> None:
    auditor = call(token(Role.AUDITOR))
    followed = 0
    while followed < 3:  # until the server has seen that the one before has gone
        with auditor.http.stream("GET", STREAM) as reply:
            if reply.status_code == 200:
                followed += 1
                lines = reply.iter_lines()
                next(lines)
                refused = auditor.get(STREAM)
                assert problem(refused)[:2] == (503, "too-many-streams")
                assert refused.headers["Retry-After"]


def test_publishers_do_not_follow(publisher: Caller) -> None:
    assert publisher.get(STREAM).status_code == 403
