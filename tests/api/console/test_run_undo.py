"""The undo of a run on its page: the plan, the form, and the links between the runs."""

from typing import Any

import pytest

from domain.values import Role
from tests.support.calls.console_pages import ConsoleReader
from tests.support.examples import batch, body, item
from tests.support.harness import Call, Caller, Clock, MakeToken
from tests.support.waiting import wait_until


@pytest.fixture
def run(partner: Caller) -> str:
    data: dict[str, Any] = partner.send(body(batch("Insert", [item("A"), item("B")]))).json()["data"]
    return str(data["runId"])


def test_operator_sees_the_plan_and_undoes_the_run(operator: ConsoleReader, partner: Caller, run: str) -> None:
    later = partner.send(body(batch("Insert", [item("A", headline="later")]))).json()["data"]["runId"]
    assert "Show what an undo of this run would do" in operator.read(f"/runs/{run}")
    plan = operator.read(f"/runs/{run}", undo="plan")
    assert "1 deleted" in plan
    assert f"Offer has been changed since by run {later}" in plan
    operator.send_form(f"/runs/{run}/undo", reason="The batch was wrong")
    undone = partner.get("/api/v1/runs").json()["items"][0]
    wait_until(lambda: partner.get(f"/api/v1/runs/{undone['runId']}").json()["state"] == "completed")
    assert (undone["undoOf"], undone["source"], undone["reason"]) == (run, "console", "The batch was wrong")
    text = operator.read(f"/runs/{undone['runId']}")
    assert f"Undoes run {run} Reason The batch was wrong" in text
    assert f"undone by run {undone['runId']}" in operator.read(f"/runs/{run}")
    assert "completed undone" in operator.read("/runs")


def test_past_state_shows_the_run_before_its_undo(
    operator: ConsoleReader, partner: Caller, run: str, clock: Clock
) -> None:
    position = partner.get(f"/api/v1/runs/{run}").json()["position"]
    clock.move(minutes=1)
    operator.read(f"/runs/{run}", undo="plan")
    operator.send_form(f"/runs/{run}/undo", reason="wrong")
    wait_until(lambda: partner.get(f"/api/v1/runs/{run}").json()["undoneBy"] is not None)
    assert "undo" not in operator.read(f"/runs/{run}", asOfPosition=position).lower()
    undone = partner.get(f"/api/v1/runs/{run}").json()["undoneBy"]
    assert f"undone by run {undone}" in operator.read(f"/runs/{run}", asOfPosition=position + 2)


def test_form_needs_a_reason(operator: ConsoleReader, partner: Caller, run: str) -> None:
    operator.read(f"/runs/{run}", undo="plan")
    assert "reason" in operator.send_form(f"/runs/{run}/undo", 422, reason=" ")
    assert len(partner.get("/api/v1/runs").json()["items"]) == 1


def test_page_says_why_nothing_can_be_undone(operator: ConsoleReader, partner: Caller, run: str) -> None:
    partner.send(body(batch("Insert", [item("A", headline="later"), item("B", headline="later")])))
    text = operator.read(f"/runs/{run}", undo="plan")
    assert "Nothing can be undone: all offers that the run changed have changed since." in text
    assert "Undo this run" not in text


def test_auditor_is_offered_no_undo(call: Call, token: MakeToken, run: str) -> None:
    auditor = ConsoleReader(call, token(Role.AUDITOR))
    assert "undo" not in auditor.read(f"/runs/{run}", undo="plan").lower()
