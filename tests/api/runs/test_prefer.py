"""The Prefer header (RFC 7240): how long a client waits for its run, and what it gets before the run ends."""

import re
import time
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx2
import pytest

from api.runs.prefer import MAX_PREFERENCES, WaitPreference, parse_wait_preference
from api.service import Service
from api.settings import Settings
from tests.support.calls.stalled_runs import LEASE_SECONDS, blocked_runs, run_path, slow_runs, wait_until_finished
from tests.support.examples import batch, body, item
from tests.support.harness import Call, Caller, Clock, MakeToken

LIMIT = 30
NO_PREFERENCE = WaitPreference(LIMIT)
ASYNC = WaitPreference(0, "respond-async")
REPLAYED = "Idempotency-Replayed"


# Parsing


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ([], NO_PREFERENCE),
        (["respond-async"], ASYNC),
        (["wait=5"], WaitPreference(5, "wait=5")),
        (["wait=0"], WaitPreference(0, "wait=0")),
        (["wait=30"], WaitPreference(30, "wait=30")),
        (["handling=lenient, respond-async, return=minimal"], ASYNC),
        (["return=minimal"], NO_PREFERENCE),
    ],
)
def test_preference_of_the_header_is_applied(headers: list[str], expected: WaitPreference) -> None:
    assert parse_wait_preference(headers, LIMIT) == expected


@pytest.mark.parametrize("headers", [["respond-async, wait=5"], ["wait=5, respond-async"], ["respond-async", "wait=5"]])
def test_wait_takes_precedence_over_respond_async(headers: list[str]) -> None:
    assert parse_wait_preference(headers, LIMIT) == WaitPreference(5, "wait=5")


@pytest.mark.parametrize("wait", ["wait=31", "wait=999999999", "wait=99999999999999999999"])
def test_wait_beyond_the_limit_is_ignored(wait: str) -> None:
    assert parse_wait_preference([wait], LIMIT) == NO_PREFERENCE
    assert parse_wait_preference([wait, "respond-async"], LIMIT) == ASYNC


@pytest.mark.parametrize("header", ['wait="5"', "WAIT=5", "wait = 5", "wait=5;strictly", 'wait=5 ; a="b"', "\twait=5 "])
def test_wait_may_be_spelt_in_many_ways(header: str) -> None:
    assert parse_wait_preference([header], LIMIT) == WaitPreference(5, "wait=5")


@pytest.mark.parametrize("header", ["Respond-Async", 'respond-async; foo="bar"', ",respond-async,", 'respond-async=""'])
def test_respond_async_may_be_spelt_in_many_ways(header: str) -> None:
    assert parse_wait_preference([header], LIMIT) == ASYNC


@pytest.mark.parametrize(
    "header",
    ["", ",", ";", "=5", "wait", "wait=", "wait=x", "wait=-1", "wait=1.5", "wait=5 6", "wait=\u0665", 'wait="5'],
)
def test_malformed_preference_is_ignored(header: str) -> None:
    assert parse_wait_preference([header], LIMIT) == NO_PREFERENCE


@pytest.mark.parametrize("headers", [["wait=5, wait=9"], ["wait=5", "WAIT=9"], ["wait=5", "wait=x"]])
def test_first_of_repeated_preferences_counts(headers: list[str]) -> None:
    assert parse_wait_preference(headers, LIMIT) == WaitPreference(5, "wait=5")


def test_first_preference_counts_even_if_it_is_beyond_the_limit() -> None:
    assert parse_wait_preference(["wait=31, wait=9"], LIMIT) == NO_PREFERENCE


def test_preferences_beyond_the_hundredth_are_ignored() -> None:
    unknown = ["a"] * (MAX_PREFERENCES - 1)
    assert parse_wait_preference([*unknown, "wait=5"], LIMIT) == WaitPreference(5, "wait=5")
    assert parse_wait_preference(["a", *unknown, "wait=5"], LIMIT) == NO_PREFERENCE


def test_text_in_quotes_is_not_a_preference() -> None:
    assert parse_wait_preference(['note="slowly, respond-async, please"'], LIMIT) == NO_PREFERENCE


@pytest.mark.parametrize("unit", [" ", "a ", "=", '"', '\\"', '"\\', '",', "a;", "\t="])
@pytest.mark.parametrize("frame", ["{}", "a{}b", "a=1{};b"])
def test_any_header_is_parsed_in_little_time(frame: str, unit: str) -> None:
    started = time.thread_time()
    parse_wait_preference([frame.format(unit * 20_000)], LIMIT)
    assert time.thread_time() - started < 1


# Replies


@pytest.fixture
def settings(tmp_path: Path, request: pytest.FixtureRequest) -> Settings:
    values = {"lease_seconds": 0.5, **getattr(request, "param", {})}
    return Settings(database_url=f"sqlite:///{tmp_path}/ledger.db", **values)


def send(caller: Caller, document: dict[str, Any], prefer: str = "respond-async") -> httpx2.Response:
    return caller.send(body(document), Prefer=prefer)


def test_respond_async_is_answered_with_202_and_the_run(partner: Caller) -> None:
    document = batch("Insert", [item()])
    reply = send(partner, document)
    reply_body = reply.json()
    run_id = reply_body["data"]["runId"]
    assert (reply.status_code, reply.headers["Location"]) == (202, run_path(run_id))
    assert (reply.headers["Preference-Applied"], REPLAYED in reply.headers) == ("respond-async", False)
    assert reply_body.keys() == {"responseId", "isSuccessful", "responseTitle", "responseType", "messages", "data"}
    assert (reply_body["isSuccessful"], reply_body["responseTitle"], reply_body["responseType"]) == (
        True,
        "Accepted",
        "Accepted",
    )
    lists = ("createdOffers", "updatedOffers", "notChangedOffers", "pausedOffers", "failedOffers")
    ids = {"concurrencyRequestId": document["concurrencyRequestId"], "runId": run_id}
    assert reply_body["data"] == ids | {name: [] for name in lists}


def test_respond_async_never_waits(partner: Caller) -> None:
    for n in range(40):
        reply = send(partner, batch("Insert", [item(f"TP-{n}")]))
        assert reply.status_code == 202
        wait_until_finished(partner, reply.headers["Location"])


def test_run_is_executed_without_a_waiting_client(partner: Caller) -> None:
    reply = send(partner, batch("Insert", [item(), item("TP-2")]))
    run = wait_until_finished(partner, reply.headers["Location"])
    assert (run["state"], run["counts"]["created"]) == ("completed", 2)
    assert len(partner.get("/api/v1/offers").json()["items"]) == 2


def test_finished_run_is_replayed_as_a_waiting_client_gets_it(partner: Caller, call: Call, token: MakeToken) -> None:
    other = call(token(partner="harbor"))
    document = batch("Insert", [item(), item("TP-2", headline=""), item(None)])
    wait_until_finished(partner, send(partner, document).headers["Location"])
    repeated, waiting_reply = partner.send(body(document)), other.send(body(document))
    assert (repeated.status_code, repeated.headers[REPLAYED]) == (waiting_reply.status_code, "true") == (200, "true")
    assert without_ids(repeated.json()) == without_ids(waiting_reply.json())
    assert "Location" not in repeated.headers


def test_finished_run_with_only_failed_items_is_replayed_too(partner: Caller, call: Call, token: MakeToken) -> None:
    other = call(token(partner="harbor"))
    document = batch("Insert", [item(headline="")])
    first = send(partner, document)
    wait_until_finished(partner, first.headers["Location"])
    repeated, waiting_reply = partner.send(body(document)), other.send(body(document))
    assert (first.status_code, repeated.status_code, repeated.headers[REPLAYED]) == (202, 422, "true")
    assert without_ids(repeated.json()) == without_ids(waiting_reply.json())


def without_ids(document: dict[str, Any]) -> dict[str, Any]:
    return document | {"responseId": "", "traceId": "", "data": document["data"] | {"runId": ""}}


def test_replay_of_a_finished_run_ignores_the_preference(partner: Caller) -> None:
    document = batch("Insert", [item()])
    first = partner.send(body(document))
    repeated = send(partner, document)
    assert (repeated.status_code, repeated.content) == (200, first.content)
    assert "Preference-Applied" not in repeated.headers


@pytest.mark.parametrize("prefer", ["wait=0", "wait=1", "respond-async, wait=1"])
def test_run_that_takes_longer_than_the_wait_is_202(partner: Caller, prefer: str) -> None:
    with slow_runs():
        reply = send(partner, batch("Insert", [item()]), prefer)
    assert (reply.status_code, reply.json()["responseType"]) == (202, "Accepted")
    assert reply.headers["Location"] == run_path(reply.json()["data"]["runId"])
    assert re.fullmatch("wait=[01]", reply.headers["Preference-Applied"])


@pytest.mark.parametrize("settings", [{"wait_seconds": 0.3}], indirect=True)
@pytest.mark.parametrize("prefer", ["", "wait=20"])
def test_server_limits_the_wait(partner: Caller, prefer: str) -> None:
    with slow_runs():
        reply = send(partner, batch("Insert", [item()]), prefer)
    assert (reply.status_code, reply.headers["Location"]) == (202, run_path(reply.json()["data"]["runId"]))
    assert "Preference-Applied" not in reply.headers


def test_run_that_finishes_within_the_wait_is_200(partner: Caller) -> None:
    reply = send(partner, batch("Insert", [item()]), "wait=20")
    assert (reply.status_code, reply.headers["Preference-Applied"]) == (200, "wait=20")


def test_blocked_run_is_finished_later(partner: Caller, service: Service, clock: Clock) -> None:
    document = batch("Insert", [item()])
    with blocked_runs(service):
        location = send(partner, document, "wait=0").headers["Location"]
        assert partner.get(location).json()["state"] in {"accepted", "running"}
    clock.move(seconds=LEASE_SECONDS)
    assert wait_until_finished(partner, location)["state"] == "completed"
    repeated = partner.send(body(document))
    assert (repeated.status_code, repeated.headers[REPLAYED]) == (200, "true")
    assert repeated.json()["data"]["counts"]["created"] == 1


def test_all_202_replies_of_a_run_are_identical(partner: Caller, service: Service) -> None:
    document = batch("Insert", [item()], str(uuid4()))
    with blocked_runs(service):
        replies = [send(partner, document, prefer) for prefer in ("wait=0", "respond-async", "", "wait=1")]
    assert {(reply.status_code, reply.content) for reply in replies} == {(202, replies[0].content)}
