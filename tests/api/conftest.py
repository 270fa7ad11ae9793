"""Who reports what customers do, and an offer that they can activate."""

import pytest

from api.wiring import Service
from domain.values import Role
from tests.api.merchants import limit, put, uid_of
from tests.harness import Call, Caller, Clock, MakeToken


@pytest.fixture
def publisher(call: Call, token: MakeToken) -> Caller:
    return call(token(Role.PUBLISHER))


@pytest.fixture
def offer(partner: Caller, service: Service, clock: Clock) -> str:
    """An offer that has been active for a second."""
    limit(service)
    assert put(partner).status_code == 202
    clock.move(seconds=1)
    return str(uid_of())
