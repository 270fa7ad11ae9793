"""Tests of the undo of runs over HTTP (contract, section 9)."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from uuid import UUID

import httpx2
import pytest

from api.http.paths import OFFERS_FILES_PATH
from api.runs import supervisor
from api.service import Service
from domain.values import Channel, OfferKey, Role, utc_text
from projections.maintenance.verification import verify
from tests.support.calls.publishers import activate, post, problem
from tests.support.calls.stalled_runs import accept_elsewhere
from tests.support.examples import PARTNER, batch, body, item
from tests.support.harness import Call, Caller, Clock, MakeToken
from tests.support.histories.offers_files import file_with
from tests.support.waiting import wait_until

REASON = "The batch had wrong rewards"


@pytest.fixture
def operator(call: Call, token: MakeToken) -> Caller:
    return call(token(Role.OPERATOR, name="olga"))


@pytest.fixture(autouse=True)
def _verify_everything(service: Service) -> Iterator[None]:
    yield
    assert verify(service.ledger) == []


def send(partner: Caller, operation: str, *items: Any) -> dict[str, Any]:
    reply = partner.send(body(batch(operation, items)))
    assert reply.status_code == 200
    data: dict[str, Any] = reply.json()["data"]
    return data


def undo(operator: Caller, run: Any, query: str = "", reason: Any = REASON, **members: Any) -> httpx2.Response:
    return post(operator, f"/api/v1/runs/{run}/undo{query}", reason=reason, **members)


def states(caller: Caller) -> dict[str, str]:
    items = caller.get("/api/v1/offers").json()["items"]
    return {offer["externalId"]: f"{offer['status']} {offer['content']['headline']}" for offer in items}


def outcomes(caller: Caller, run: str) -> list[tuple[str, str, list[str]]]:
    items = caller.get(f"/api/v1/runs/{run}/items").json()["items"]
    return [(found["externalId"], found["outcome"], found["messages"]) for found in items]


def uid_of(name: str) -> str:
    return str(OfferKey(PARTNER, Channel.CUSTOM, None, name).offer_uid)


def test_undo_appends_the_opposite_events(operator: Caller, partner: Caller, auditor: Caller) -> None:
    send(partner, "Insert", *(item(name, headline="one") for name in ("A", "B", "C")))
    send(partner, "Synchronize", item("A", headline="one"), item("B", headline="one"))
    run = send(partner, "Synchronize", item("A", headline="two"), item("C", headline="one"), item("D", headline="new"))
    reply = undo(operator, run["runId"])
    document = reply.json()
    assert (reply.status_code, document["state"], document["undoOf"]) == (200, "completed", run["runId"])
    assert (document["source"], document["actor"], document["reason"]) == ("operator", "olga", REASON)
    assert (document["operation"], document["concurrencyRequestId"], document["fileName"]) == (None, None, None)
    assert states(partner) == {"A": "active one", "B": "active one", "C": "paused one", "D": "deleted new"}
    assert sorted(outcomes(partner, document["runId"])) == [
        ("A", "updated", []),
        ("B", "updated", ["Offer has been resumed"]),
        ("C", "paused", []),
        ("D", "deleted", []),
    ]
    events = auditor.get("/api/v1/audit/events", runId=document["runId"]).json()["items"]
    assert {(event["type"], event["cause"]) for event in events} == {
        ("OfferUpdated", None),
        ("OfferResumed", None),
        ("OfferPaused", "undo"),
        ("OfferDeleted", "undo"),
    }
    assert {(event["reason"], event["recordedAt"]) for event in events} == {(REASON, events[0]["recordedAt"])}


def test_runs_show_what_undid_them(operator: Caller, partner: Caller) -> None:
    run = send(partner, "Insert", item())["runId"]
    undone = undo(operator, run).json()["runId"]
    assert partner.get(f"/api/v1/runs/{run}").json()["undoneBy"] == undone
    again = undo(operator, undone, reason="It was right").json()
    assert (again["undoOf"], again["counts"]["restored"]) == (undone, 1)
    shown = {found["runId"]: found["undoneBy"] for found in partner.get("/api/v1/runs").json()["items"]}
    assert shown == {run: None, undone: again["runId"], again["runId"]: None}
    assert states(partner) == {"TP-1": "active Open a jar"}


def test_offers_changed_since_are_kept(operator: Caller, partner: Caller) -> None:
    run = send(partner, "Insert", item("A"), item("B"))["runId"]
    later = send(partner, "Insert", item("A", headline="later"))["runId"]
    undone = undo(operator, run).json()
    assert (undone["counts"]["deleted"], undone["counts"]["kept"]) == (1, 1)
    assert outcomes(partner, undone["runId"]) == [
        ("B", "deleted", []),
        ("A", "kept", [f"Offer has been changed since by run {later}"]),
    ]
    kept = partner.get(f"/api/v1/runs/{undone['runId']}/items", outcome="kept").json()["items"]
    assert [found["externalId"] for found in kept] == ["A"]


def test_plan_shows_what_an_undo_would_do(operator: Caller, partner: Caller) -> None:
    run = send(partner, "Insert", item("A"), item("B"))["runId"]
    later = send(partner, "Insert", item("A", headline="later"))["runId"]
    before = states(partner)
    reply = undo(operator, run, "?plan=true")
    document = reply.json()
    assert (reply.status_code, document["undoOf"]) == (200, run)
    assert document["position"] == int(reply.headers["Ledger-Position"])
    assert {kind: count for kind, count in document["counts"].items() if count} == {"deleted": 1, "kept": 1}
    assert [(found["externalId"], found["outcome"], found["messages"]) for found in document["items"]] == [
        ("B", "deleted", []),
        ("A", "kept", [f"Offer has been changed since by run {later}"]),
    ]
    assert states(partner) == before
    assert len(partner.get("/api/v1/runs").json()["items"]) == 2


def test_hold_does_not_count_as_a_change(operator: Caller, partner: Caller) -> None:
    run = send(partner, "Insert", item())["runId"]
    assert post(operator, f"/api/v1/offers/{uid_of('TP-1')}/hold", reason="wrong").status_code == 201
    assert undo(operator, run).json()["counts"]["deleted"] == 1


def test_activation_before_the_undo_stays_valid(
    operator: Caller, partner: Caller, publisher: Caller, clock: Clock
) -> None:
    run = send(partner, "Insert", item())["runId"]
    clock.move(seconds=1)
    made = activate(publisher, uid_of("TP-1"))
    assert made.status_code == 201
    clock.move(seconds=1)
    undo(operator, run)
    shown = publisher.get(made.headers["Location"]).json()
    assert (shown["redeemableUntil"], shown["state"]) == (made.json()["redeemableUntil"], "winding_down")
    assert problem(activate(publisher, uid_of("TP-1"), "C-2")) == (409, "offer-not-activatable", [])
    before = utc_text(clock.now - timedelta(microseconds=1))
    assert activate(publisher, uid_of("TP-1"), "C-2", activatedAt=before).status_code == 201


def test_repeated_undo_returns_the_same_run(operator: Caller, partner: Caller) -> None:
    run = send(partner, "Insert", item())["runId"]
    first = undo(operator, run)
    again = undo(operator, run, reason="Another reason")
    assert (again.status_code, again.json()) == (200, first.json())
    assert "Idempotency-Replayed" not in first.headers
    assert again.headers["Idempotency-Replayed"] == "true"


def test_replayed_batch_shows_what_undid_it(operator: Caller, partner: Caller) -> None:
    sent = body(batch("Insert", [item()]))
    first = partner.send(sent).json()
    undone = undo(operator, first["data"]["runId"]).json()["runId"]
    replay = partner.send(sent)
    assert replay.headers["Idempotency-Replayed"] == "true"
    assert replay.json() == first | {"data": first["data"] | {"undoneBy": undone}}
    assert states(partner) == {"TP-1": "deleted Open a jar"}


def test_undone_file_can_be_sent_again(operator: Caller, partner: Caller) -> None:
    def send_file() -> httpx2.Response:
        path = f"{OFFERS_FILES_PATH}?name=TidepoolOffers20261122.json"
        return partner.http.post(path, content=file_with("a"), headers={"Content-Type": "application/json"})

    first = send_file().json()
    undo(operator, first["runId"])
    again = send_file()
    assert "Idempotency-Replayed" not in again.headers
    assert (again.json()["runId"] != first["runId"], again.json()["counts"]["restored"]) == (True, 1)


def test_run_without_anything_to_undo_is_409(operator: Caller, partner: Caller) -> None:
    first = send(partner, "Insert", item())["runId"]
    unchanged = send(partner, "Insert", item())["runId"]
    for query in ("", "?plan=true"):
        reply = undo(operator, unchanged, query)
        assert problem(reply) == (409, "nothing-to-undo", [])
        assert reply.json()["detail"] == "Nothing can be undone: the run has changed no offer."
    send(partner, "Insert", item(headline="later"))
    assert undo(operator, first).json()["detail"] == (
        "Nothing can be undone: all offers that the run changed have changed since."
    )


def test_unfinished_run_is_409(operator: Caller, service: Service) -> None:
    run = accept_elsewhere(service, batch("Insert", [item()]))
    for query in ("", "?plan=true"):
        reply = undo(operator, run.run_id, query)
        assert problem(reply) == (409, "run-in-progress", [])
        assert reply.json()["activeRun"] == f"/api/v1/runs/{run.run_id}"
        assert reply.headers["Retry-After"]


@pytest.mark.parametrize("run", [str(UUID(int=0)), "no-uuid"])
def test_unknown_run_is_404(operator: Caller, run: str) -> None:
    assert [problem(undo(operator, run, query)) for query in ("", "?plan=true")] == [(404, "not-found", [])] * 2


@pytest.mark.parametrize("reason", [None, "", " \n", "x" * 501, 1, "a\0b"])
def test_reason_is_required(operator: Caller, partner: Caller, reason: Any) -> None:
    run = send(partner, "Insert", item())["runId"]
    assert problem(undo(operator, run, reason=reason)) == (422, "validation-error", ["/reason"])
    assert states(partner) == {"TP-1": "active Open a jar"}


@pytest.mark.parametrize("query", ["?plan=1", "?plan=", "?plans=true", "?plan=true&plan=false"])
def test_unknown_parameters_undo_nothing(operator: Caller, partner: Caller, query: str) -> None:
    run = send(partner, "Insert", item())["runId"]
    assert undo(operator, run, query).status_code == 422
    assert states(partner) == {"TP-1": "active Open a jar"}


def test_only_operators_undo(partner: Caller, auditor: Caller) -> None:
    run = send(partner, "Insert", item())["runId"]
    assert [undo(caller, run).status_code for caller in (partner, auditor)] == [403, 403]


def test_undo_does_not_wait_if_the_client_prefers_so(operator: Caller, partner: Caller) -> None:
    run = send(partner, "Insert", item())["runId"]
    path = f"/api/v1/runs/{run}/undo"
    headers = {"Content-Type": "application/json", "Prefer": "respond-async"}
    reply = operator.http.post(path, content=body({"reason": REASON}), headers=headers)
    assert (reply.status_code, reply.headers["Preference-Applied"]) == (202, "respond-async")
    wait_until(lambda: operator.get(reply.headers["Location"]).json()["state"] == "completed")


def test_large_undo_runs_in_a_worker_process(
    operator: Caller, partner: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor, "SMALL_UNDO_EVENTS", 2)
    run = send(partner, "Insert", *(item(name) for name in ("A", "B", "C")))["runId"]
    assert undo(operator, run).json()["counts"]["deleted"] == 3
