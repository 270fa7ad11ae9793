"""A partner has one run at a time, and each run is executed once, whichever process owns it."""

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx2
import pytest

from api.http.problems import MEDIA_TYPE
from api.service import Service
from api.settings import Settings
from domain.access.partner import SetPartner
from domain.refusals import LeaseLost
from domain.runs.run import MAX_ATTEMPTS, Run
from tests.support.calls.stalled_runs import (
    LEASE_SECONDS,
    accept_elsewhere,
    blocked_runs,
    fail_elsewhere,
    other_owner,
    run_path,
    wait_until_finished,
)
from tests.support.examples import PARTNER, batch, body, item
from tests.support.harness import OPERATOR, Call, Caller, Clock, MakeToken, execute_run
from tests.support.waiting import wait_until

REPLAYED = "Idempotency-Replayed"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(database_url=f"sqlite:///{tmp_path}/ledger.db", lease_seconds=0.5)


@pytest.fixture
def document() -> dict[str, Any]:
    """The batch of the active run."""
    return batch("Insert", [item(), item("TP-2")])


@pytest.fixture
def active(service: Service, document: dict[str, Any]) -> Run:
    """A run of the partner that another process owns."""
    return accept_elsewhere(service, document)


def send(caller: Caller, document: dict[str, Any], **headers: str) -> httpx2.Response:
    return caller.send(body(document), **headers)


def status_and_type(reply: httpx2.Response) -> tuple[int, str]:
    return reply.status_code, reply.json()["type"]


def set_limits(service: Service, limit: int) -> None:
    service.ledger.handle(SetPartner(PARTNER, synchronize_per_day=limit, insert_per_hour=limit), OPERATOR)


def position(caller: Caller) -> int:
    return int(caller.get("/api/v1/offers").json()["position"])


def runs(caller: Caller) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = caller.get("/api/v1/runs").json()["items"]
    return items


# Another batch


@pytest.mark.parametrize("operation", ["Insert", "Synchronize"])
def test_another_batch_is_refused_while_a_run_is_active(partner: Caller, active: Run, operation: str) -> None:
    reply = send(partner, batch(operation, [item("TP-3")]))
    assert status_and_type(reply) == (409, "run-in-progress")
    assert reply.headers["Retry-After"].isdecimal()
    assert reply.headers["Link"] == f'<{run_path(active.run_id)}>; rel="related"'
    assert reply.json()["activeRun"] == run_path(active.run_id)


def test_refusal_has_the_members_of_both_documents(partner: Caller, active: Run) -> None:
    reply = send(partner, batch("Insert", [item("TP-3")]))
    problem = reply.json()
    assert reply.headers["Content-Type"] == MEDIA_TYPE
    assert {"title", "status", "detail", "instance", "errors", "traceId"} <= problem.keys()
    assert {"responseId", "responseTitle", "responseType"} <= problem.keys()
    assert (problem["isSuccessful"], problem["messages"], problem["data"]) == (False, [problem["detail"]], None)
    assert partner.get(problem["activeRun"]).json()["runId"] == str(active.run_id)


def test_refused_batch_leaves_nothing_behind(partner: Caller, active: Run, service: Service) -> None:
    before = position(partner)
    refused = batch("Insert", [item("TP-3")])
    assert send(partner, refused).status_code == 409
    assert position(partner) == before
    assert [run["runId"] for run in runs(partner)] == [str(active.run_id)]
    fail_elsewhere(service, active)
    reply = send(partner, refused)
    assert (reply.status_code, REPLAYED in reply.headers) == (200, False)


def test_another_partner_is_not_affected(active: Run, call: Call, token: MakeToken) -> None:
    other = call(token(partner="harbor"))
    assert send(other, batch("Insert", [item()])).status_code == 200
    assert all(run["runId"] != str(active.run_id) for run in runs(other))


# The same batch


def test_repeated_request_is_202_while_its_run_is_active(
    partner: Caller, active: Run, document: dict[str, Any]
) -> None:
    reply = send(partner, document)
    assert (reply.status_code, reply.headers["Location"]) == (202, run_path(active.run_id))
    assert REPLAYED not in reply.headers
    data = reply.json()["data"]
    assert (data["concurrencyRequestId"], data["runId"]) == (document["concurrencyRequestId"], str(active.run_id))


@pytest.mark.usefixtures("active")
def test_repeated_request_in_another_spelling_is_202_too(partner: Caller, document: dict[str, Any]) -> None:
    backwards = dict(reversed(document.items()))
    assert send(partner, backwards).status_code == 202


@pytest.mark.usefixtures("active")
@pytest.mark.parametrize("changes", [{"operation": "Synchronize"}, {"offers": [item()]}, {"offers": [item(name="")]}])
def test_same_id_with_other_content_is_refused(
    partner: Caller, document: dict[str, Any], changes: dict[str, Any]
) -> None:
    reply = send(partner, document | changes)
    assert status_and_type(reply) == (422, "idempotency-key-reused")
    assert reply.json()["errors"][0]["pointer"] == "/concurrencyRequestId"


# The order of checks


@pytest.mark.usefixtures("active")
def test_invalid_request_is_reported_before_the_active_run(partner: Caller, document: dict[str, Any]) -> None:
    assert send(partner, document | {"operation": "Delete"}).status_code == 422
    assert send(partner, batch("Insert", [])).status_code == 422
    assert partner.send(b"{").status_code == 400
    assert partner.send(b"{}", Content_Type="text/plain").status_code == 415


def test_active_run_is_reported_before_the_limit(partner: Caller, service: Service, document: dict[str, Any]) -> None:
    set_limits(service, 1)
    accept_elsewhere(service, document)
    assert send(partner, batch("Insert", [item()])).status_code == 409


def test_finished_request_is_replayed_beside_an_active_run(partner: Caller, service: Service) -> None:
    finished = batch("Insert", [item()])
    set_limits(service, 1)
    first = send(partner, finished)
    accept_elsewhere(service, batch("Synchronize", [item()]))
    repeated = send(partner, finished)
    assert (repeated.status_code, repeated.content, repeated.headers[REPLAYED]) == (200, first.content, "true")


def test_reused_id_is_reported_before_the_active_run(partner: Caller, service: Service) -> None:
    finished = batch("Insert", [item()])
    send(partner, finished)
    accept_elsewhere(service, batch("Insert", [item()]))
    assert status_and_type(send(partner, finished | {"offers": [item("TP-2")]})) == (422, "idempotency-key-reused")


# The slot


def test_finished_run_uses_the_slot_of_its_acceptance_time(
    partner: Caller, service: Service, clock: Clock, document: dict[str, Any]
) -> None:
    set_limits(service, 1)
    clock.now = clock.now.replace(minute=59, second=59)
    run = accept_elsewhere(service, document)
    execute_run(other_owner(service), run)
    assert send(partner, batch("Insert", [item()])).status_code == 429
    clock.move(seconds=1)
    assert send(partner, batch("Insert", [item()])).status_code == 200


def test_failed_run_uses_neither_its_slot_nor_its_id(
    partner: Caller, service: Service, document: dict[str, Any]
) -> None:
    set_limits(service, 1)
    fail_elsewhere(service, accept_elsewhere(service, document))
    reply = send(partner, document)
    assert (reply.status_code, REPLAYED in reply.headers) == (200, False)
    assert send(partner, batch("Insert", [item()])).status_code == 429
    assert [run["state"] for run in runs(partner)] == ["completed", "failed"]


def test_id_of_failed_run_may_be_used_for_another_batch(
    partner: Caller, service: Service, document: dict[str, Any]
) -> None:
    fail_elsewhere(service, accept_elsewhere(service, document))
    assert send(partner, document | {"offers": [item("TP-3")]}).status_code == 200


def test_run_with_only_failed_items_uses_id_but_no_slot(
    partner: Caller, service: Service, document: dict[str, Any]
) -> None:
    set_limits(service, 1)
    broken = document | {"offers": [item(headline="")]}
    assert status_and_type(send(partner, broken)) == (422, "all-items-failed")
    assert status_and_type(send(partner, document)) == (422, "idempotency-key-reused")
    assert send(partner, batch("Insert", [item()])).status_code == 200


# Concurrency


def send_concurrently(caller: Caller, documents: list[dict[str, Any]]) -> list[httpx2.Response]:
    with ThreadPoolExecutor(len(documents)) as pool:
        return list(pool.map(lambda document: send(caller, document), documents))


def test_equal_concurrent_requests_are_one_run(partner: Caller, document: dict[str, Any]) -> None:
    before = position(partner)
    replies = send_concurrently(partner, [document] * 64)
    (run,) = runs(partner)
    wait_until_finished(partner, run_path(run["runId"]))
    assert {reply.status_code for reply in replies} <= {200, 202}
    assert {reply.json()["data"]["runId"] for reply in replies} == {run["runId"]}
    assert sum(reply.status_code == 200 and REPLAYED not in reply.headers for reply in replies) == 1
    assert position(partner) == before + 2


def test_different_concurrent_requests_run_one_after_the_other(partner: Caller) -> None:
    before = position(partner)
    replies = send_concurrently(partner, [batch("Insert", [item(f"TP-{n}")]) for n in range(16)])
    done = [reply.json()["data"]["runId"] for reply in replies if reply.status_code == 200]
    assert {reply.status_code for reply in replies} <= {200, 409}
    assert sorted(done) == sorted(run["runId"] for run in runs(partner))
    assert position(partner) == before + len(done)


# A lost owner


@pytest.mark.parametrize("count", [2, 3000], ids=["small", "large"])
def test_run_of_a_lost_owner_is_taken_over(partner: Caller, service: Service, clock: Clock, count: int) -> None:
    document = batch("Insert", [item(f"TP-{n}") for n in range(count)])
    before = position(partner)
    lost = accept_elsewhere(service, document)
    clock.move(seconds=LEASE_SECONDS)
    run = wait_until_finished(partner, run_path(lost.run_id))
    assert (run["state"], run["actor"], run["counts"]["created"]) == ("completed", "erin", count)
    assert run["position"] == position(partner) == before + count
    assert send(partner, document).headers[REPLAYED] == "true"


def test_run_is_not_taken_over_before_its_lease_expires(
    partner: Caller, service: Service, clock: Clock, active: Run
) -> None:
    clock.move(seconds=service.settings.lease_seconds - 0.001)
    with pytest.raises(LeaseLost):
        service.runs.claim(active.run_id)
    assert partner.get(run_path(active.run_id)).json()["state"] == "accepted"


def test_former_owner_of_a_run_changes_nothing(partner: Caller, service: Service, clock: Clock, active: Run) -> None:
    clock.move(seconds=LEASE_SECONDS)
    wait_until_finished(partner, run_path(active.run_id))
    before = partner.get("/api/v1/offers").json()
    with pytest.raises(LeaseLost):
        execute_run(other_owner(service), active)
    with pytest.raises(LeaseLost):
        fail_elsewhere(service, active)
    assert partner.get("/api/v1/offers").json() == before


def test_run_is_retried_until_the_storage_lets_it_end(
    partner: Caller, service: Service, clock: Clock, document: dict[str, Any]
) -> None:
    with blocked_runs(service):
        location = send(partner, document, Prefer="respond-async").headers["Location"]
        for _ in range(3 * MAX_ATTEMPTS):
            clock.move(seconds=LEASE_SECONDS)
            time.sleep(0.1)
        assert partner.get(location).json()["state"] in {"accepted", "running"}

    def is_completed_after_a_lease() -> bool:
        clock.move(seconds=LEASE_SECONDS)
        time.sleep(0.1)
        return bool(partner.get(location).json()["state"] == "completed")

    wait_until(is_completed_after_a_lease)
