"""The calls that read runs (contract, section 6)."""

from typing import Any
from uuid import uuid4

import httpx2
import pytest

from api.http.problems import MEDIA_TYPE
from api.service import Service
from domain.runs.run import OUTCOMES
from domain.values import Role
from tests.support.calls.paging import items_of, pages
from tests.support.calls.stalled_runs import accept_elsewhere, fail_elsewhere, other_owner, run_path
from tests.support.examples import PARTNER, batch, body, item
from tests.support.harness import Call, Caller, MakeToken

RUNS = "/api/v1/runs"
BROKEN = {"headline": ""}
NO_COUNTS = dict.fromkeys(OUTCOMES, 0)
RECORDED_AT = "2026-11-22T12:30:00.000000Z"


@pytest.fixture
def harbor(call: Call, token: MakeToken) -> Caller:
    """Another partner."""
    return call(token(partner="harbor"))


def send(caller: Caller, *items: Any, operation: str = "Insert", request_id: str | None = None) -> str:
    """Sends a batch, and returns its runId."""
    data = caller.send(body(batch(operation, items, request_id))).json()["data"]
    return str(data["runId"])


def run_ids(caller: Caller, **params: Any) -> list[str]:
    return [run["runId"] for run in items_of(caller.get(RUNS, **params))]


def assert_refused(reply: httpx2.Response, status: int, pointer: str | None = None) -> None:
    problem = reply.json()
    assert (reply.status_code, problem["status"], reply.headers["Content-Type"]) == (status, status, MEDIA_TYPE)
    assert [error["pointer"] for error in problem["errors"]] == ([pointer] if pointer else [])


# One run


def test_run_is_returned_with_all_members(partner: Caller) -> None:
    request_id = str(uuid4())
    run_id = send(partner, item(), item("TP-2", **BROKEN), request_id=request_id)
    assert partner.get(run_path(run_id)).json() == {
        "runId": run_id,
        "partner": PARTNER,
        "channel": "custom",
        "operation": "Insert",
        "source": "custom",
        "actor": f"partner-{PARTNER}",
        "concurrencyRequestId": request_id,
        "fileName": None,
        "undoOf": None,
        "state": "completed",
        "acceptedAt": RECORDED_AT,
        "finishedAt": RECORDED_AT,
        "counts": NO_COUNTS | {"created": 1, "failed": 1},
        "messages": [],
        "position": partner.get("/api/v1/offers").json()["position"],
        "problem": None,
        "reason": None,
        "undoneBy": None,
        "progress": None,
    }


def test_unfinished_run_has_no_end(partner: Caller, service: Service) -> None:
    accepted = accept_elsewhere(service, batch("Synchronize", [item()]))
    run = partner.get(run_path(accepted.run_id)).json()
    assert (run["state"], run["operation"], run["actor"]) == ("accepted", "Synchronize", "erin")
    assert (run["acceptedAt"], run["messages"]) == (RECORDED_AT, [])
    assert [run[name] for name in ("finishedAt", "counts", "position", "problem")] == [None] * 4


def test_claimed_run_is_running(partner: Caller, service: Service) -> None:
    run = accept_elsewhere(service, batch("Insert", [item()]))
    other_owner(service).claim(run.run_id)
    assert partner.get(run_path(run.run_id)).json()["state"] == "running"
    assert run_ids(partner, state="running") == [str(run.run_id)]


def test_failed_run_has_a_problem(partner: Caller, service: Service) -> None:
    failed = fail_elsewhere(service, accept_elsewhere(service, batch("Insert", [item()])))
    run = partner.get(run_path(failed.run_id)).json()
    assert (run["state"], run["finishedAt"], run["counts"]) == ("failed", RECORDED_AT, None)
    assert run["problem"].keys() == {"type", "title", "status", "detail"}
    assert (run["problem"]["type"], run["problem"]["status"]) == ("run-failed", 500)


def test_run_with_only_failed_items_is_completed(partner: Caller) -> None:
    run = partner.get(run_path(send(partner, item(**BROKEN)))).json()
    assert (run["state"], run["counts"], run["problem"]) == ("completed", NO_COUNTS | {"failed": 1}, None)


def test_run_without_events_has_the_position_before_it(partner: Caller) -> None:
    first, second = send(partner, item()), send(partner, item())
    runs = [partner.get(run_path(run_id)).json() for run_id in (first, second)]
    assert runs[0]["position"] == runs[1]["position"] == partner.get("/api/v1/offers").json()["position"]
    assert runs[1]["counts"] == NO_COUNTS | {"unchanged": 1}


def test_position_of_a_run_is_that_of_its_last_event(partner: Caller) -> None:
    first = send(partner, item(), item("TP-2"))
    run = partner.get(run_path(first)).json()
    send(partner, item("TP-3"))
    assert partner.get(run_path(first)).json() == run
    assert run["position"] == partner.get("/api/v1/offers").json()["position"] - 1


def test_run_has_the_messages_of_its_reply(partner: Caller) -> None:
    reply = partner.send(body(batch("Synchronize", [item(), item(None)]) | {"extra": 1}))
    run = partner.get(run_path(reply.json()["data"]["runId"])).json()
    assert run["messages"] == reply.json()["messages"] != []


def test_run_is_not_cached(partner: Caller) -> None:
    assert partner.get(run_path(send(partner, item()))).headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("run_id", ["00000000-0000-4000-8000-000000000000", "x", "1", "%00", "a" * 300])
@pytest.mark.parametrize("suffix", ["", "/items"])
def test_unknown_run_is_404(partner: Caller, run_id: str, suffix: str) -> None:
    assert_refused(partner.get(run_path(run_id) + suffix), 404)


# The list


def test_newest_run_comes_first(partner: Caller, service: Service) -> None:
    first, second = send(partner, item()), send(partner, item(**BROKEN))
    third = str(accept_elsewhere(service, batch("Insert", [item()])).run_id)
    listed = items_of(partner.get(RUNS))
    assert [run["runId"] for run in listed] == [third, second, first]
    single_runs = [partner.get(run_path(run_id)).json() for run_id in (third, second, first)]
    assert [run | {"progress": None} for run in listed] == single_runs


def test_list_of_runs_may_be_empty(partner: Caller) -> None:
    assert partner.get(RUNS).json() == {"items": [], "nextCursor": None}


def test_runs_are_filtered(partner: Caller, harbor: Caller, auditor: Caller, service: Service) -> None:
    first, second = send(partner, item()), send(harbor, item(), operation="Synchronize")
    failed = str(fail_elsewhere(service, accept_elsewhere(service, batch("Insert", [item()]))).run_id)
    active = str(accept_elsewhere(service, batch("Insert", [item()])).run_id)
    assert run_ids(auditor) == [active, failed, second, first]
    assert run_ids(auditor, partner=PARTNER) == [active, failed, first]
    assert run_ids(auditor, channel="custom") == [active, failed, second, first]
    assert run_ids(auditor, channel="merchant") == []
    assert run_ids(auditor, operation="Synchronize") == [second]
    assert run_ids(auditor, state="accepted") == [active]
    assert run_ids(auditor, state="running") == []
    assert run_ids(auditor, state="completed") == [second, first]
    assert run_ids(auditor, state="failed", partner=PARTNER, operation="Insert") == [failed]
    assert run_ids(auditor, state="failed", partner="harbor") == []


def test_request_id_finds_the_run_whose_reply_was_lost(partner: Caller, harbor: Caller, auditor: Caller) -> None:
    request_id = str(uuid4())
    mine, theirs = (send(caller, item(), request_id=request_id) for caller in (partner, harbor))
    send(partner, item())
    assert run_ids(partner, concurrencyRequestId=request_id) == [mine]
    assert run_ids(partner, concurrencyRequestId=request_id.upper()) == [mine]
    assert run_ids(auditor, concurrencyRequestId=request_id) == [theirs, mine]


def test_request_id_that_was_never_accepted_finds_nothing(partner: Caller) -> None:
    request_id = str(uuid4())
    assert partner.send(body(batch("Delete", [item()], request_id))).status_code == 422
    assert partner.get(RUNS, concurrencyRequestId=request_id).json() == {"items": [], "nextCursor": None}


def test_failed_request_that_was_repeated_has_two_runs(partner: Caller, service: Service) -> None:
    document = batch("Insert", [item()])
    failed = fail_elsewhere(service, accept_elsewhere(service, document))
    repeated = partner.send(body(document)).json()["data"]["runId"]
    assert run_ids(partner, concurrencyRequestId=document["concurrencyRequestId"]) == [repeated, str(failed.run_id)]


def test_runs_are_listed_in_pages(partner: Caller, harbor: Caller) -> None:
    sent = [send(caller, item(**BROKEN)) for caller in (partner, harbor) for _ in range(5)]
    listed = [[run["runId"] for run in page] for page in pages(partner, RUNS, limit=2, operation="Insert")]
    assert listed == [[sent[4], sent[3]], [sent[2], sent[1]], [sent[0]]]
    assert [len(page) for page in pages(partner, RUNS, limit=5)] == [5]


def test_new_runs_do_not_change_the_following_pages(partner: Caller) -> None:
    sent = [send(partner, item()) for _ in range(4)]
    following = pages(partner, RUNS, limit=2)
    listed = [run["runId"] for run in next(following)]
    new = send(partner, item())
    listed += [run["runId"] for page in following for run in page]
    assert listed == sent[::-1]
    assert run_ids(partner, limit=1) == [new]


def test_cursor_is_valid_with_its_filters_only(partner: Caller) -> None:
    for _ in range(3):
        send(partner, item())
    cursor = partner.get(RUNS, limit=1).json()["nextCursor"]
    assert len(run_ids(partner, cursor=cursor)) == 2
    for other in ({"state": "completed"}, {"operation": "Insert"}, {"concurrencyRequestId": str(uuid4())}):
        assert_refused(partner.http.get(RUNS, params={"cursor": cursor, **other}), 422, "/query/cursor")


# Parameters


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("concurrencyRequestId", "x"),
        ("concurrencyRequestId", ""),
        ("concurrencyRequestId", "0b5c1f7e5c0a4a539a6e3a1f5d7c2e11"),
        ("concurrencyRequestId", "{0b5c1f7e-5c0a-4a53-9a6e-3a1f5d7c2e11}"),
        ("concurrencyRequestId", "0b5c1f7e-5c0a-4a53-9a6e-3a1f5d7c2e11\n"),
        ("channel", "Custom"),
        ("operation", "insert"),
        ("operation", "Delete"),
        ("state", "done"),
        ("partner", ""),
        ("limit", "0"),
        ("limit", "1001"),
        ("limit", "x"),
        ("cursor", "x"),
        ("cursor", ""),
        ("cursor", "é"),
        ("runId", "0b5c1f7e-5c0a-4a53-9a6e-3a1f5d7c2e11"),
        ("outcome", "failed"),
        ("State", "completed"),
    ],
)
def test_malformed_or_unknown_parameter_is_refused(auditor: Caller, name: str, value: str) -> None:
    assert_refused(auditor.http.get(RUNS, params={name: value}), 422, f"/query/{name}")


def test_single_run_takes_no_parameters(partner: Caller) -> None:
    assert_refused(partner.get(run_path(send(partner, item())), state="completed"), 422, "/query/state")


# Roles


def test_partner_sees_its_own_runs_only(partner: Caller, harbor: Caller) -> None:
    mine, theirs = send(partner, item()), send(harbor, item())
    assert (run_ids(partner), run_ids(harbor)) == ([mine], [theirs])
    assert run_ids(partner, partner=PARTNER) == [mine]
    assert run_ids(partner, partner="harbor") == []
    for path in (run_path(theirs), f"{run_path(theirs)}/items"):
        assert_refused(partner.get(path), 404)


def test_cursor_of_another_partner_is_refused(partner: Caller, harbor: Caller) -> None:
    for caller in (partner, harbor, harbor):
        send(caller, item())
    cursor = harbor.get(RUNS, limit=1).json()["nextCursor"]
    assert_refused(partner.get(RUNS, cursor=cursor), 422, "/query/cursor")


@pytest.mark.parametrize("role", [Role.AUDITOR, Role.OPERATOR])
def test_auditor_and_operator_see_all_runs(
    partner: Caller, harbor: Caller, call: Call, token: MakeToken, role: Role
) -> None:
    sent = [send(partner, item()), send(harbor, item())]
    reader = call(token(role))
    assert run_ids(reader) == sent[::-1]
    assert [reader.get(f"{run_path(run_id)}/items").status_code for run_id in sent] == [200, 200]


def test_publisher_sees_no_runs(partner: Caller, call: Call, token: MakeToken) -> None:
    path = run_path(send(partner, item()))
    publisher = call(token(Role.PUBLISHER))
    for requested_path in (RUNS, path, f"{path}/items"):
        assert_refused(publisher.get(requested_path), 403)


def test_runs_are_not_shown_without_a_token(partner: Caller, call: Call) -> None:
    path = run_path(send(partner, item()))
    for requested_path in (RUNS, path, f"{path}/items"):
        assert_refused(call(None).get(requested_path), 401)
