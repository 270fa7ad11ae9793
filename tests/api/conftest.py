"""Fixtures of the API tests: a publisher, and offers that customers can activate."""

import pytest

from api.service import Service
from domain.values import Role
from tests.support.calls.merchants import limit, put, uid_of
from tests.support.calls.publishers import activate, redeem
from tests.support.examples import batch, body, item
from tests.support.harness import Call, Caller, Clock, MakeToken


@pytest.fixture
def publisher(call: Call, token: MakeToken) -> Caller:
    return call(token(Role.PUBLISHER))


@pytest.fixture
def offer(partner: Caller, service: Service, clock: Clock) -> str:
    """The id of an offer that has been active for one second."""
    limit(service)
    assert put(partner).status_code == 202
    clock.move(seconds=1)
    return str(uid_of())


@pytest.fixture
def busy(partner: Caller, publisher: Caller, offer: str, clock: Clock) -> str:
    """The id of an offer in a ledger with events of all kinds, on the second day."""
    assert activate(publisher, offer).status_code == 201
    assert redeem(publisher, offer, clock.now).status_code == 201
    clock.move(days=1)
    assert partner.send(body(batch("Insert", [item()]))).status_code == 200
    return offer
