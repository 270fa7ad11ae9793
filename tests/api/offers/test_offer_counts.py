"""Tests of offer counts by status over HTTP, now and as of past states (contract, section 6)."""

from datetime import timedelta
from typing import Any

import pytest

from api.service import Service
from domain.values import Operation, Role, utc_text
from tests.support.calls.merchants import delete, limit, put
from tests.support.calls.publishers import problem
from tests.support.examples import item
from tests.support.harness import Call, Caller, Clock, MakeToken, run_batch

COUNTS = "/api/v1/offers/counts"


@pytest.fixture
def stocked(partner: Caller, service: Service, clock: Clock) -> None:
    """Runs a batch of three offers and a second one without the third, then creates and deletes a merchant offer.
    One step per day."""
    limit(service)
    run_batch(service.ledger, Operation.SYNCHRONIZE, [item("TP-1"), item("TP-2"), item("TP-3")])
    clock.move(days=1)
    run_batch(service.ledger, Operation.SYNCHRONIZE, [item("TP-1"), item("TP-2")])
    clock.move(days=1)
    assert put(partner).status_code == 202
    clock.move(days=1)
    assert delete(partner).status_code == 202


def counts_of(caller: Caller, **parameters: Any) -> tuple[int, ...]:
    reply = caller.get(COUNTS, **parameters)
    assert reply.status_code == 200, reply.text
    return tuple(reply.json()["counts"][status] for status in ("active", "paused", "deleted"))


@pytest.mark.usefixtures("stocked")
def test_counts_by_status_now_and_as_of_times(auditor: Caller, clock: Clock) -> None:
    assert counts_of(auditor) == (2, 1, 1)
    evenings = [clock.now + timedelta(days=days, minutes=5) for days in (-4, -3, -2, -1, 0)]
    assert [counts_of(auditor, asOf=utc_text(evening)) for evening in evenings] == [
        (0, 0, 0),
        (3, 0, 0),
        (2, 1, 0),
        (3, 1, 0),
        (2, 1, 1),
    ]


@pytest.mark.usefixtures("stocked")
def test_position_inside_a_run_counts_only_earlier_events(auditor: Caller, service: Service) -> None:
    with service.ledger.recorder.read() as tx:
        first = tx.execute("SELECT min(first_position) FROM commits WHERE event_count = 3").fetchone()[0]
    positions = range(first - 1, first + 3)
    assert [counts_of(auditor, asOfPosition=at) for at in positions] == [(n, 0, 0) for n in range(4)]


@pytest.mark.usefixtures("stocked")
def test_counts_are_filtered_by_partner_and_channel(auditor: Caller, call: Call, token: MakeToken) -> None:
    assert counts_of(auditor, channel="merchant") == (0, 0, 1)
    assert counts_of(auditor, channel="custom", partner="tidepool") == (2, 1, 0)
    harbor = call(token(partner="harbor"))
    assert counts_of(auditor, partner="harbor") == (0, 0, 0)
    assert counts_of(harbor) == counts_of(harbor, partner="tidepool") == (0, 0, 0)


@pytest.mark.usefixtures("stocked")
def test_counts_report_position_and_commit_time(auditor: Caller) -> None:
    now, listed = auditor.get(COUNTS).json(), auditor.get("/api/v1/offers").json()
    assert now == {"counts": {"active": 2, "paused": 1, "deleted": 1}} | {
        name: listed[name] for name in ("position", "asOf")
    }


def test_unknown_parameter_of_counts_is_422(auditor: Caller) -> None:
    assert problem(auditor.get(COUNTS, status="active")) == (422, "validation-error", ["/query/status"])


def test_publisher_may_not_count_offers(call: Call, token: MakeToken) -> None:
    assert call(token(Role.PUBLISHER)).get(COUNTS).status_code == 403
