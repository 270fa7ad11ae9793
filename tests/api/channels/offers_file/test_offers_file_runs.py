"""An offers file is a run: it is listed, replayed and may continue after its request (contract, 3 and 4)."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx2
import pytest

from api.service import Service
from api.settings import Settings
from domain.runs.run import OUTCOMES
from tests.support.calls.merchants import MERCHANT, delete, history_of, limit, offer_of, position, put
from tests.support.calls.offers_files import (
    HARBOR_NAME,
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
def _no_rate_limit(service: Service) -> None:
    limit(service)


@pytest.fixture
def harbor(call: Call, token: MakeToken) -> Caller:
    """Another partner."""
    return call(token(partner="harbor"))


# Lists


def test_run_of_a_file_is_listed_on_the_merchant_channel(partner: Caller, auditor: Caller, harbor: Caller) -> None:
    partner.send(body(batch("Insert", [item()])))
    report = without(completed_report(send_file(partner, record("A"))), "records")
    assert runs(partner, channel="merchant") == runs(auditor, partner="tidepool", channel="merchant") == [report]
    assert [run["fileName"] for run in runs(partner)] == [NAME, None]
    assert [run["fileName"] for run in runs(partner, channel="custom")] == [None]
    assert runs(partner, channel="merchant", operation="Insert") == []
    assert partner.get(run_path(report["runId"])).json() == report | {"progress": None}
    assert harbor.get(run_path(report["runId"])).status_code == 404


def test_unfinished_run_of_a_file_has_no_end(partner: Caller, service: Service) -> None:
    run = accept_file_elsewhere(service, offers_file(record("A")))
    (run_document,) = runs(partner, state="accepted", channel="merchant")
    assert (run_document["runId"], run_document["fileName"], run_document["actor"]) == (str(run.run_id), NAME, "erin")
    assert [run_document[name] for name in ("finishedAt", "counts", "position", "problem")] == [None] * 4


def every_outcome(caller: Caller) -> httpx2.Response:
    """Sends a file whose records have every possible outcome."""
    for name in ("U", "R", "S", "D", "M"):
        put(caller, content(record(name)), offer=name)
    delete(caller, offer="R")
    records = [record("C"), record("U", offerName="Another"), record("R"), record("S", "NO-CHANGE")]
    return send_file(caller, *records, record("D", "DELETED"), record("X", "DELETED"), record("F", offerName=""))


def test_items_are_listed_by_outcome(partner: Caller) -> None:
    report = completed_report(every_outcome(partner))
    path = f"{run_path(report['runId'])}/items"
    by_outcome = {name: items_of(partner.get(path, outcome=name)) for name in OUTCOMES}
    assert {name: [item["externalId"] for item in items] for name, items in by_outcome.items()} == {
        "created": ["C"],
        "updated": ["U"],
        "restored": ["R"],
        "unchanged": ["S"],
        "paused": [],
        "deleted": ["D"],
        "unknown": ["X"],
        "discrepancy": ["M"],
        "failed": ["F"],
        "kept": [],
    }
    assert items_of(partner.get(path)) == report["records"] == [item for items in by_outcome.values() for item in items]
    assert {item["merchantId"] for item in report["records"]} == {MERCHANT}


def test_history_has_the_run_of_each_change(partner: Caller) -> None:
    report = completed_report(every_outcome(partner))
    types = {"C": "OfferCreated", "U": "OfferUpdated", "R": "OfferRestored", "D": "OfferDeleted"}
    for name, kind in types.items():
        last = history_of(partner, offer=name)[-1]
        assert (last["type"], last["runId"], last["traceId"]) == (kind, report["runId"], None)
        assert (last["source"], last["actor"], last["cause"]) == ("file", "partner-tidepool", None)
    assert [len(history_of(partner, offer=name)) for name in ("S", "M")] == [1, 1]
    assert report["position"] == position(partner)


# Replay


def test_repeated_file_gets_the_first_reply_and_changes_nothing(partner: Caller) -> None:
    records = [record("A"), record("B", "DELETED"), record("C", offerName="")]
    first = send_file(partner, *records)
    put(partner, content(record("A", offerName="Another")), offer="A")
    before = inventory(partner), position(partner)
    replays = [send_file(partner, *records), send_file(partner, *records, Prefer="respond-async")]
    assert [(replay.status_code, replay.content, replay.headers[REPLAYED]) for replay in replays] == [
        (200, first.content, "true")
    ] * 2
    assert REPLAYED not in first.headers
    assert (inventory(partner), position(partner), len(runs(partner))) == (*before, 1)


def test_same_name_with_other_content_is_a_new_file(partner: Caller) -> None:
    first = completed_report(send_file(partner, record("A"), record("B")))
    second = send_file(partner, record("A", offerName="Another"))
    assert outcomes(second) == {"updated": ["A"], "discrepancy": ["B"]}
    assert (second.json()["runId"] != first["runId"], REPLAYED in second.headers) == (True, False)


@pytest.mark.parametrize("send", [send_form, send_json])
def test_file_that_is_put_back_takes_effect_again(partner: Caller, send: Any) -> None:
    files = [offers_file(record("A", offerName=name)) for name in ("Right", "Wrong")]
    replies = [send(partner, files[n]) for n in (0, 1, 0, 0)]
    assert [nonzero_counts(reply) for reply in replies] == [{"created": 1}] + [{"updated": 1}] * 3
    assert [REPLAYED in reply.headers for reply in replies] == [False, False, False, True]
    assert replies[3].content == replies[2].content
    assert offer_of(partner, offer="A")["content"]["offerName"] == "Right"
    assert [run["runId"] for run in runs(partner)] == [replies[n].json()["runId"] for n in (2, 1, 0)]


def test_equal_concurrent_files_that_are_put_back_are_one_run(partner: Caller) -> None:
    files = [offers_file(record("A", offerName=name)) for name in ("Right", "Wrong")]
    for sent in files:
        send_json(partner, sent)
    with ThreadPoolExecutor(8) as pool:
        replies = list(pool.map(lambda n: (send_form if n % 2 else send_json)(partner, files[0]), range(16)))
    assert {reply.status_code for reply in replies} <= {200, 202}
    (put_back,) = {reply.json()["runId"] for reply in replies}
    assert runs(partner)[0]["runId"] == put_back
    assert len(runs(partner)) == 3


def test_same_content_under_another_name_is_a_new_file(partner: Caller) -> None:
    replies = [send_file(partner, record("A"), name=name) for name in (NAME, NEXT_DAY)]
    assert [nonzero_counts(reply) for reply in replies] == [{"created": 1}, {"unchanged": 1}]
    assert REPLAYED not in replies[1].headers


def test_partners_may_send_the_same_file(partner: Caller, harbor: Caller) -> None:
    replies = [send_file(caller, record("A"), name="DayOffers20261122.json") for caller in (partner, harbor)]
    assert [(nonzero_counts(reply), REPLAYED in reply.headers) for reply in replies] == [({"created": 1}, False)] * 2


def test_file_of_another_partner_does_not_change_offers(partner: Caller, harbor: Caller) -> None:
    send_file(partner, record("A"), record("B"))
    before = partner.get("/api/v1/offers").json()["items"], history_of(partner, offer="A")
    reply = send_file(harbor, record("A", "DELETED"), record("B", offerName="Theirs"), record("C"), name=HARBOR_NAME)
    assert outcomes(reply) == {"created": ["B", "C"], "unknown": ["A"]}
    assert (partner.get("/api/v1/offers").json()["items"], history_of(partner, offer="A")) == before


def test_equal_concurrent_files_are_one_run(partner: Caller) -> None:
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


# Prefer


def test_respond_async_is_answered_at_once_with_the_run(partner: Caller) -> None:
    reply = send_file(partner, record("A"), Prefer="respond-async")
    run = reply.json()
    assert (reply.status_code, reply.headers["Location"]) == (202, run_path(run["runId"]))
    assert (reply.headers["Preference-Applied"], REPLAYED in reply.headers) == ("respond-async", False)
    assert (run["fileName"], run["state"], run["counts"], "records" in run) == (NAME, "accepted", None, False)
    assert wait_until_finished(partner, reply.headers["Location"])["counts"]["created"] == 1


def test_replay_equals_the_reply_to_a_waiting_client(partner: Caller, harbor: Caller) -> None:
    document = offers_file(record("A"), record("B", "NO-CHANGE"), record("C", offerName=""), 5, note=1)
    name = "DayOffers20261122.json"
    accepted = send_form(partner, document, name, Prefer="respond-async")
    run = wait_until_finished(partner, accepted.headers["Location"])
    replay, waiting_reply = send_form(partner, document, name), send_form(harbor, document, name)
    assert (replay.headers[REPLAYED], "Location" in replay.headers) == ("true", False)
    report = completed_report(replay)
    assert without(report, "records") == without(run, "progress")
    different = {"partner", "actor", "runId", "position"}
    assert {k: v for k, v in report.items() if k not in different} == {
        k: v for k, v in completed_report(waiting_reply).items() if k not in different
    }


@pytest.mark.parametrize("send", [send_form, send_json])
def test_file_that_takes_longer_than_the_wait_is_202(partner: Caller, send: Any) -> None:
    document = offers_file(record("A"))
    with slow_runs():
        reply = send(partner, document, Prefer="wait=0")
    assert (reply.status_code, reply.headers["Preference-Applied"]) == (202, "wait=0")
    assert wait_until_finished(partner, reply.headers["Location"])["state"] == "completed"
    assert (send(partner, document).status_code, send(partner, document).headers[REPLAYED]) == (200, "true")


def test_file_that_finishes_within_the_wait_is_200(partner: Caller) -> None:
    reply = send_file(partner, record("A"), Prefer="wait=20")
    assert (nonzero_counts(reply), reply.headers["Preference-Applied"]) == ({"created": 1}, "wait=20")


def test_blocked_file_is_finished_later(partner: Caller, service: Service, clock: Clock) -> None:
    with blocked_runs(service):
        location = send_file(partner, record("A"), Prefer="wait=0").headers["Location"]
    clock.move(seconds=LEASE_SECONDS)
    assert wait_until_finished(partner, location)["counts"]["created"] == 1
