"""How many offers are, or were, in each state, over the wire. (Contract, section 6.)"""

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
    """A batch of three, of which a second one names two; a merchant offer that comes and goes; each on a day of its own."""
    limit(service)
    run_batch(service.ledger, Operation.SYNCHRONIZE, [item("TP-1"), item("TP-2"), item("TP-3")])
    clock.move(days=1)
    run_batch(service.ledger, Operation.SYNCHRONIZE, [item("TP-1"), item("TP-2")])
    clock.move(days=1)
    assert put(partner).status_code == 202
    clock.move(days=1)
    assert delete(partner).status_code == 202


def counted(caller: Caller, **asked: Any) -> tuple[int, ...]:
    reply = caller.get(COUNTS, **asked)
    assert reply.status_code == 200, reply.text
    return tuple(reply.json()["counts"][status] for status in ("active", "paused", "deleted"))


@pytest.mark.usefixtures("stocked")
def test_offers_are_counted_by_state_now_and_then(auditor: Caller, clock: Clock) -> None:
    assert counted(auditor) == (2, 1, 1)
    evenings = [clock.now + timedelta(days=days, hours=1) for days in (-4, -3, -2, -1, 0)]
    assert [counted(auditor, asOf=utc_text(evening)) for evening in evenings] == [
        (0, 0, 0),
        (3, 0, 0),
        (2, 1, 0),
        (3, 1, 0),
        (2, 1, 1),
    ]


@pytest.mark.usefixtures("stocked")
def test_a_position_inside_a_run_counts_what_stands_before_it(auditor: Caller, service: Service) -> None:
    with service.ledger.recorder.read() as tx:
        first = tx.execute("SELECT min(first_position) FROM commits WHERE event_count = 3").fetchone()[0]
    positions = range(first - 1, first + 3)
    assert [counted(auditor, asOfPosition=at) for at in positions] == [(n, 0, 0) for n in range(4)]


@pytest.mark.usefixtures("stocked")
def test_the_counts_are_those_of_a_partner_and_a_channel(auditor: Caller, call: Call, token: MakeToken) -> None:
    assert counted(auditor, channel="merchant") == (0, 0, 1)
    assert counted(auditor, channel="custom", partner="tidepool") == (2, 1, 0)
    assert counted(auditor, partner="harbor") == (0, 0, 0)
    harbor = call(token(partner="harbor"))
    assert counted(harbor) == counted(harbor, partner="tidepool") == (0, 0, 0)


@pytest.mark.usefixtures("stocked")
def test_the_reply_tells_the_position_that_pins_it(auditor: Caller) -> None:
    now, listed = auditor.get(COUNTS).json(), auditor.get("/api/v1/offers").json()
    assert now == {"counts": {"active": 2, "paused": 1, "deleted": 1}} | {
        name: listed[name] for name in ("position", "asOf")
    }


def test_what_is_not_in_order_is_named(auditor: Caller) -> None:
    assert problem(auditor.get(COUNTS, status="active")) == (422, "validation-error", ["/query/status"])


def test_publishers_do_not_count(call: Call, token: MakeToken) -> None:
    assert call(token(Role.PUBLISHER)).get(COUNTS).status_code == 403
