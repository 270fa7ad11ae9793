"""offer-ledger runs, events, requests, quota"""

from uuid import uuid4

import pytest

from api.channels.merchant_routes import TRACES_PATH
from tests.support.calls.merchants import put
from tests.support.examples import PARTNER
from tests.support.harness import Caller
from tests.support.processes.shell import (
    Run,
    WriteBatch,
    require_refusal,
    require_success,
    require_usage_error,
    require_usage_sentence,
)


@pytest.fixture
def imported(partnered: Run, write_batch: WriteBatch) -> Run:
    """Two runs: the second one pauses TP-2."""
    first, second = write_batch("Insert", ["TP-1", "TP-2"]), write_batch("Synchronize", ["TP-1"])
    for batch in (first, second):
        require_success(partnered("import", batch, "--partner", PARTNER))
    return partnered


def test_runs_are_listed_newest_first(imported: Run) -> None:
    runs = imported("runs", "list", "--json").json["items"]
    assert [run["operation"] for run in runs] == ["Synchronize", "Insert"]
    printed = require_success(imported("runs", "list", "--operation", "Insert"))
    assert runs[1]["runId"] in printed
    assert runs[0]["runId"] not in printed
    assert "2 created" in printed


def test_runs_continue_on_the_next_page(imported: Run) -> None:
    first = imported("runs", "list", "--limit", 1, "--json").json
    last = imported("runs", "list", "--limit", 1, "--cursor", first["nextCursor"], "--json").json
    assert [first["items"][0]["operation"], last["items"][0]["operation"]] == ["Synchronize", "Insert"]
    assert last["nextCursor"] is None


def test_lost_reply_is_found_by_its_request_id(imported: Run) -> None:
    request_id = imported("runs", "list", "--json").json["items"][1]["concurrencyRequestId"]
    found = imported("runs", "list", "--concurrency-request-id", request_id, "--json").json["items"]
    assert [run["operation"] for run in found] == ["Insert"]
    assert require_success(imported("runs", "list", "--concurrency-request-id", uuid4())) == "No runs match.\n"


def test_run_shows_its_counts_and_items(imported: Run) -> None:
    run_id = imported("runs", "list", "--json").json["items"][0]["runId"]
    printed = require_success(imported("runs", "show", run_id))
    assert "completed" in printed
    assert "1 paused" in printed
    unchanged = imported("runs", "items", run_id, "--outcome", "unchanged", "--json").json["items"]
    assert [item["externalId"] for item in unchanged] == ["TP-1"]
    assert "TP-2" in require_success(imported("runs", "items", run_id, "--outcome", "paused"))


def test_unknown_run_and_outcome_are_refused(imported: Run) -> None:
    require_refusal(imported("runs", "show", uuid4()), "no such run")
    require_refusal(imported("runs", "items", uuid4()), "no such run")
    require_usage_sentence(imported("runs", "items", uuid4(), "--outcome", "lost"), "--outcome", "failed")


def test_events_match_all_filters(imported: Run) -> None:
    run_id = imported("runs", "list", "--json").json["items"][0]["runId"]
    paused = imported("events", "--partner", PARTNER, "--type", "OfferPaused", "--run-id", run_id, "--json").json
    assert [(item["type"], item["runId"]) for item in paused["items"]] == [("OfferPaused", run_id)]
    everything = imported("events", "--json").json["items"]
    assert [item["position"] for item in everything] == list(range(1, len(everything) + 1))
    assert require_success(imported("events", "--to", "2020-01-01")) == "No events match.\n"
    assert imported("events", "--source", "cli", "--json").json["items"] == everything
    assert require_success(imported("events", "--source", "file")) == "No events match.\n"
    after = imported("events", "--after-position", len(everything) - 1, "--json").json["items"]
    assert after == everything[-1:]


def test_events_continue_on_the_next_page(imported: Run) -> None:
    first = imported("events", "--limit", 2, "--json").json
    rest = imported("events", "--cursor", first["nextCursor"], "--json").json
    assert [item["position"] for item in first["items"] + rest["items"]] == [1, 2, 3, 4]


def test_events_of_the_newest_first_continue_on_the_next_page(imported: Run) -> None:
    first = imported("events", "--order", "desc", "--after-position", 1, "--limit", 2, "--json").json
    more = ("--order", "desc", "--after-position", 1, "--cursor", first["nextCursor"])
    rest = imported("events", *more, "--json").json
    assert [item["position"] for item in first["items"] + rest["items"]] == [4, 3, 2]
    require_usage_sentence(imported("events", "--cursor", first["nextCursor"]), "--cursor")


def test_invalid_event_filters_are_usage_errors(imported: Run) -> None:
    require_usage_sentence(imported("events", "--type", "OfferLost"), "--type", "OfferPaused")
    require_usage_error(imported("events", "--source", "fax"), "--source", "publisher")
    require_usage_error(imported("events", "--order", "up"), "--order", "desc")
    require_usage_sentence(imported("events", "--from", "2026-12-01", "--to", "2026-11-30"), "--to")
    require_usage_sentence(imported("events", "--after-position", 999), "--after-position", "newest position")
    require_refusal(imported("events", "--partner", "nobody"), "nobody")


def test_events_of_a_request_are_found_by_either_id(run: Run, partner: Caller) -> None:
    reply = put(partner)
    for trace_id in (reply.json()["trace_id"], reply.headers["Trace-Id"]):
        (event,) = run("events", "--trace-id", trace_id, "--json").json["items"]
        assert event["traceId"] == reply.json()["trace_id"]


def test_request_and_quota_are_shown(run: Run, partner: Caller) -> None:
    sent = put(partner).json()["trace_id"]
    shown = run("requests", "show", sent, "--json").json
    assert shown == partner.get(f"{TRACES_PATH}/{sent}").json()
    assert "created" in require_success(run("requests", "show", sent))
    quota = run("quota", "--partner", PARTNER, "--json").json
    assert quota["limit"] == quota["used"] + quota["remaining"] > 0
    assert 0 < quota["reset"] <= 24 * 60 * 60
    assert "remaining" in require_success(run("quota", "--partner", PARTNER))


def test_unknown_request_and_partner_are_refused(run: Run) -> None:
    require_refusal(run("requests", "show", "req-unknown"), "no such request")
    require_refusal(run("quota", "--partner", "nobody"), "nobody")
