"""Fixtures of the tests on the oldest supported version of PostgreSQL, which Debian's package contains."""

import os
from collections.abc import Iterator
from uuid import uuid4

import pytest

from api.settings import Settings
from domain.store.postgres.connections import OLDEST_POSTGRES
from tests.support.engine import IS_POSTGRES
from tests.support.postgres.debian_server import debian_server, programs_of


@pytest.fixture(scope="package")
def oldest_server() -> Iterator[str]:
    """Yields the URL of a server of the oldest supported version."""
    if IS_POSTGRES:
        pytest.skip("Runs once, with the tests on SQLite.")
    if not programs_of(OLDEST_POSTGRES).exists():
        message = f"PostgreSQL {OLDEST_POSTGRES} is missing. Install it with `make postgres`."
        if os.environ.get("CI") == "true":
            pytest.fail(message, pytrace=False)
        pytest.skip(message)
    with debian_server(OLDEST_POSTGRES) as url:
        yield url


@pytest.fixture
def oldest(oldest_server: str) -> Settings:
    """Returns the settings of an empty schema on that server."""
    return Settings(database_url=oldest_server, database_schema=f"test_{uuid4().hex}")
