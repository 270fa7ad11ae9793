"""Is an offers file a run like any other: found, replayed, one at a time, none after a later one? (contract, 3 and 4)"""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx2
import pytest

from api.service import Service
from api.settings import Settings
from domain.runs.run import OUTCOMES
from tests.support.calls.merchants import MERCHANT, delete, history_of, limit, position, put
from tests.support.calls.offers_files import (
    NAME,
    NEXT_DAY,
    REPLAYED,
    accept_file_elsewhere,
    completed_report,
    content,
    inventory,
    nonzero_counts,
    offers_file,
    outcomes,
    record,
    runs,
    send_file,
    send_form,
    send_json,
    without,
)
from tests.support.calls.paging import items_of
from tests.support.calls.stalled_runs import LEASE_SECONDS, blocked_runs, run_path, slow_runs, wait_until_finished
from tests.support.examples import batch, body, item
from tests.support.harness import Call, Caller, Clock, MakeToken


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(database_url=f"sqlite:///{tmp_path}/ledger.db", lease_seconds=0.5)


@pytest.fixture(autouse=True)
def _unhurried(service: Service) -> None:
    limit(service)


@pytest.fixture
def harbor(call: Call, token: MakeToken) -> Caller:
    """Another partner."""
    return call(token(partner="harbor"))


# Found


def test_a_run_of_a_file_is_listed_on_the_merchant_channel(partner: Caller, auditor: Caller, harbor: Caller) -> None:
    partner.send(body(batch("Insert", [item()])))
    report = without(completed_report(send_file(partner, record("A"))), "records")
    assert runs(partner, channel="merchant") == runs(auditor, partner="tidepool", channel="merchant") == [report]
    assert [run["fileName"] for run in runs(partner)] == [NAME, None]
    assert [run["fileName"] for run in runs(partner, channel="custom")] == [None]
    assert runs(partner, channel="merchant", operation="Insert") == []
    assert partner.get(run_path(report["runId"])).json() == report | {"progress": None}
    assert harbor.get(run_path(report["runId"])).status_code == 404


def test_an_unfinished_run_of_a_file_has_no_end(partner: Caller, service: Service) -> None:
    run = accept_file_elsewhere(service, offers_file(record("A")))
    (found,) = runs(partner, state="accepted", channel="merchant")
    assert (found["runId"], found["fileName"], found["actor"]) == (str(run.run_id), NAME, "erin")
    assert [found[name] for name in ("finishedAt", "counts", "position", "problem")] == [None] * 4


def every_outcome(caller: Caller) -> httpx2.Response:
    """A file of which something has become everything that can."""
    for name in ("U", "R", "S", "D", "M"):
        put(caller, content(record(name)), offer=name)
    delete(caller, offer="R")
    records = [record("C"), record("U", offerName="Another"), record("R"), record("S", "NO-CHANGE")]
    return send_file(caller, *records, record("D", "DELETED"), record("X", "DELETED"), record("F", offerName=""))


def test_items_are_listed_by_what_became_of_them(partner: Caller) -> None:
    report = completed_report(every_outcome(partner))
    path = f"{run_path(report['runId'])}/items"
    by_outcome = {name: items_of(partner.get(path, outcome=name)) for name in OUTCOMES}
    assert {name: [one["externalId"] for one in found] for name, found in by_outcome.items()} == {
        "created": ["C"],
        "updated": ["U"],
        "restored": ["R"],
        "unchanged": ["S"],
        "paused": [],
        "deleted": ["D"],
        "unknown": ["X"],
        "discrepancy": ["M"],
        "failed": ["F"],
    }
    assert items_of(partner.get(path)) == report["records"] == [one for found in by_outcome.values() for one in found]
    assert {one["merchantId"] for one in report["records"]} == {MERCHANT}


def test_the_history_tells_the_file_of_each_change(partner: Caller) -> None:
    report = completed_report(every_outcome(partner))
    types = {"C": "OfferCreated", "U": "OfferUpdated", "R": "OfferRestored", "D": "OfferDeleted"}
    for name, kind in types.items():
        last = history_of(partner, offer=name)[-1]
        assert (last["type"], last["runId"], last["traceId"]) == (kind, report["runId"], None)
        assert (last["source"], last["actor"], last["cause"]) == ("file", "partner-tidepool", None)
    assert [len(history_of(partner, offer=name)) for name in ("S", "M")] == [1, 1]
    assert report["position"] == position(partner)


# Again


def test_the_same_file_again_is_the_reply_of_the_first_time_and_does_nothing(partner: Caller) -> None:
    records = [record("A"), record("B", "DELETED"), record("C", offerName="")]
    first = send_file(partner, *records)
    put(partner, content(record("A", offerName="Another")), offer="A")
    before = inventory(partner), position(partner)
    again = [send_file(partner, *records), send_file(partner, *records, Prefer="respond-async")]
    assert [(one.status_code, one.content, one.headers[REPLAYED]) for one in again] == [
        (200, first.content, "true")
    ] * 2
    assert REPLAYED not in first.headers
    assert (inventory(partner), position(partner), len(runs(partner))) == (*before, 1)


def test_the_same_name_with_other_content_is_a_new_full_dump(partner: Caller) -> None:
    first = completed_report(send_file(partner, record("A"), record("B")))
    second = send_file(partner, record("A", offerName="Another"))
    assert outcomes(second) == {"updated": ["A"], "discrepancy": ["B"]}
    assert (second.json()["runId"] != first["runId"], REPLAYED in second.headers) == (True, False)


def test_the_same_content_under_another_name_is_a_new_file(partner: Caller) -> None:
    replies = [send_file(partner, record("A"), name=name) for name in (NAME, NEXT_DAY)]
    assert [nonzero_counts(reply) for reply in replies] == [{"created": 1}, {"unchanged": 1}]
    assert REPLAYED not in replies[1].headers


def test_partners_may_send_the_same_file(partner: Caller, harbor: Caller) -> None:
    replies = [send_file(caller, record("A"), name="DayOffers20261122.json") for caller in (partner, harbor)]
    assert [(nonzero_counts(reply), REPLAYED in reply.headers) for reply in replies] == [({"created": 1}, False)] * 2


def test_a_file_of_another_partner_does_not_touch_mine(partner: Caller, harbor: Caller) -> None:
    send_file(partner, record("A"), record("B"))
    before = partner.get("/api/v1/offers").json()["items"], history_of(partner, offer="A")
    reply = send_file(harbor, record("A", "DELETED"), record("B", offerName="Theirs"), record("C"))
    assert outcomes(reply) == {"created": ["B", "C"], "unknown": ["A"]}
    assert (partner.get("/api/v1/offers").json()["items"], history_of(partner, offer="A")) == before


def test_equal_files_at_once_are_one_run(partner: Caller) -> None:
    before = position(partner)
    with ThreadPoolExecutor(16) as pool:
        replies = list(
            pool.map(lambda n: (send_form if n % 2 else send_json)(partner, offers_file(record("A"))), range(32))
        )
    (run,) = runs(partner)
    wait_until_finished(partner, run_path(run["runId"]))
    assert {reply.status_code for reply in replies} <= {200, 202}
    assert {reply.json()["runId"] for reply in replies} == {run["runId"]}
    assert sum(reply.status_code == 200 and REPLAYED not in reply.headers for reply in replies) == 1
    assert position(partner) == before + 1


# Not waited for


def test_respond_async_is_answered_at_once_with_the_run(partner: Caller) -> None:
    reply = send_file(partner, record("A"), Prefer="respond-async")
    run = reply.json()
    assert (reply.status_code, reply.headers["Location"]) == (202, run_path(run["runId"]))
    assert (reply.headers["Preference-Applied"], REPLAYED in reply.headers) == ("respond-async", False)
    assert (run["fileName"], run["state"], run["counts"], "records" in run) == (NAME, "accepted", None, False)
    assert wait_until_finished(partner, reply.headers["Location"])["counts"]["created"] == 1


def test_its_replay_is_the_reply_that_a_waiting_caller_gets(partner: Caller, harbor: Caller) -> None:
    document = offers_file(record("A"), record("B", "NO-CHANGE"), record("C", offerName=""), 5, note=1)
    name = "DayOffers20261122.json"
    accepted = send_form(partner, document, name, Prefer="respond-async")
    run = wait_until_finished(partner, accepted.headers["Location"])
    replay, waited = send_form(partner, document, name), send_form(harbor, document, name)
    assert (replay.headers[REPLAYED], "Location" in replay.headers) == ("true", False)
    report = completed_report(replay)
    assert without(report, "records") == without(run, "progress")
    same = {"partner", "actor", "runId", "position"}
    assert {k: v for k, v in report.items() if k not in same} == {
        k: v for k, v in completed_report(waited).items() if k not in same
    }


@pytest.mark.parametrize("send", [send_form, send_json])
def test_a_file_that_takes_longer_than_its_caller_waits_is_202(partner: Caller, service: Service, send: Any) -> None:
    document = offers_file(record("A"))
    with slow_runs(service):
        reply = send(partner, document, Prefer="wait=0")
    assert (reply.status_code, reply.headers["Preference-Applied"]) == (202, "wait=0")
    assert wait_until_finished(partner, reply.headers["Location"])["state"] == "completed"
    assert (send(partner, document).status_code, send(partner, document).headers[REPLAYED]) == (200, "true")


def test_a_file_that_is_done_in_time_is_200(partner: Caller) -> None:
    reply = send_file(partner, record("A"), Prefer="wait=20")
    assert (nonzero_counts(reply), reply.headers["Preference-Applied"]) == ({"created": 1}, "wait=20")


def test_a_file_that_was_held_up_is_finished_later(partner: Caller, service: Service, clock: Clock) -> None:
    with blocked_runs(service):
        location = send_file(partner, record("A"), Prefer="wait=0").headers["Location"]
    clock.move(seconds=LEASE_SECONDS)
    assert wait_until_finished(partner, location)["counts"]["created"] == 1
