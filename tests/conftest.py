"""Fixtures of all tests: a real ledger database, and a real server on it."""

import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest

from api.dependencies.authentication import digest_secret
from api.service import Service
from api.settings import Settings
from api.wiring import open_service
from domain.access.partner import SetPartner
from domain.access.token import CreateToken
from domain.ledgers.ledger import OfferLedger
from domain.values import Role
from tests.support.engine import empty_database, examples
from tests.support.examples import PARTNER
from tests.support.harness import OPERATOR, Call, Caller, Clock, MakeToken

# In a background job, SIGINT is ignored, and child processes would inherit that. With a handler, they start with the default.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, lambda _number, _frame: None)

# Times depend on the machine more than on the code, so there is no deadline.
hypothesis.settings.register_profile(
    "shared machine", max_examples=examples(150), deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("shared machine")

SLOW_FOLDERS = ("faults", "docs", "browser", "api/cli")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Puts the slow files first: other workers then take the quick ones, and none is left with a slow one at the end."""

    def rank(item: pytest.Item) -> int:
        path = item.path.relative_to(Path(__file__).parent).as_posix()
        return next((number for number, slow in enumerate(SLOW_FOLDERS) if path.startswith(slow)), len(SLOW_FOLDERS))

    items.sort(key=rank)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def settings(tmp_path: Path) -> Iterator[Settings]:
    with empty_database(tmp_path) as settings:
        yield settings


@pytest.fixture
def service(settings: Settings, clock: Clock) -> Iterator[Service]:
    with open_service(settings, clock) as service:
        service.ledger.handle(SetPartner(PARTNER, synchronize_per_day=0, insert_per_hour=0), OPERATOR)
        yield service


@pytest.fixture
def ledger(service: Service) -> OfferLedger:
    return service.ledger


@pytest.fixture
def token(service: Service) -> MakeToken:
    """Creates a token and returns its secret: token(Role.AUDITOR), token(Role.PARTNER, partner=...)."""

    def make(role: Role = Role.PARTNER, partner: str | None = PARTNER, name: str | None = None, **more: Any) -> str:
        partner = partner if role is Role.PARTNER else None
        name = name or f"{role}-{partner}"
        secret = f"secret of {name}"
        if partner:
            service.ledger.handle(SetPartner(partner, synchronize_per_day=0, insert_per_hour=0), OPERATOR)
        terms = {"requests_per_minute": 0, "expires_at": None} | more
        service.ledger.handle(CreateToken(name, role, partner, digest_secret(secret), **terms), OPERATOR)
        return secret

    return make


@pytest.fixture
def address(service: Service) -> Iterator[str]:
    """The base URL of the running service."""
    # Tests without a server need not wait for this import.
    from tests.support.local_server import serving

    with serving(service) as url:
        yield url


@pytest.fixture
def call(address: str) -> Iterator[Call]:
    """call(secret) returns a client of the running service."""
    callers: list[Caller] = []

    def make_caller(secret: str | None) -> Caller:
        callers.append(Caller(address, secret))
        return callers[-1]

    yield make_caller
    for caller in callers:
        caller.http.close()


@pytest.fixture
def partner(call: Call, token: MakeToken) -> Caller:
    return call(token())


@pytest.fixture
def auditor(call: Call, token: MakeToken) -> Caller:
    return call(token(Role.AUDITOR))
