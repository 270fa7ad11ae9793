"""Fixtures of the attacks."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from api.dependencies.authentication import digest_secret
from api.settings import Settings
from api.wiring import open_service
from domain.access.partner import SetPartner
from domain.access.token import CreateToken
from domain.values import Role
from tests.support.engine import empty_database
from tests.support.harness import OPERATOR
from tests.support.hostile.target import ROLES, Target, serve_target
from tests.support.processes.shell import DATABASE_URL, SCHEMA, SCRIPT

Serve = Callable[..., AbstractContextManager[Target]]
"""serve(*arguments, open_files=None, size=SMALL, **settings) starts a server on a new ledger, with settings such as
WAIT_SECONDS="1"."""
SMALL = 0.1
"""The part of an attack that a test makes."""


@pytest.fixture
def serve(tmp_path: Path) -> Serve:
    """A function that starts a server with settings of its own. The fixture `target` shares a server with default settings."""

    @contextmanager
    def run(*arguments: str, open_files: int | None = None, size: float = SMALL, **settings: str) -> Iterator[Target]:
        with _serving(tmp_path, *arguments, open_files=open_files, size=size, **settings) as target:
            yield target

    return run


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    """A server with default settings, shared by the tests of a module."""
    with _serving(tmp_path_factory.mktemp("target")) as target:
        yield target


@contextmanager
def _serving(
    folder: Path, *arguments: str, open_files: int | None = None, size: float = SMALL, **settings: str
) -> Iterator[Target]:
    with empty_database(folder) as database:
        environment = {DATABASE_URL: database.database_url, SCHEMA: database.database_schema}
        environment |= {f"OFFER_LEDGER_{name}": value for name, value in settings.items()}
        secrets = _register(database)
        log = folder / "server.log"
        with serve_target(SCRIPT, log, environment, secrets, *arguments, open_files=open_files, size=size) as target:
            yield target


def _register(settings: Settings) -> dict[str, str]:
    """Registers what `register` registers, but in this process, because each command takes a second."""
    secrets = {name: f"secret of {name}" for name in ROLES}
    with open_service(settings) as service:
        for name, role in ROLES.items():
            partner = name if role == Role.PARTNER else None
            if partner:
                limits = SetPartner(partner, synchronize_per_day=0, insert_per_hour=0, rps=0, daily_quota=0)
                service.ledger.handle(limits, OPERATOR)
            token = CreateToken(name, Role(role), partner, digest_secret(secrets[name]), 0, None)
            service.ledger.handle(token, OPERATOR)
    return secrets
