"""A connection that is lost during COMMIT raises OutcomeUnknown, never an error that implies a rollback."""

import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psycopg
import pytest

from domain.store.cursor import Cursor
from domain.store.database import DatabaseLocation
from domain.store.errors import OutcomeUnknown
from domain.store.factory import open_database
from tests.support.engine import only_postgres
from tests.support.postgres.private_server import PrivatePostgres

pytestmark = only_postgres

TRIES = 5


@pytest.fixture
def url(tmp_path: Path) -> Iterator[str]:
    postgres = PrivatePostgres(tmp_path / "data")
    yield postgres.url
    postgres.stop()


def test_connection_terminated_during_commit_raises_outcome_unknown(url: str) -> None:
    with closing(open_database(DatabaseLocation(url))) as database, psycopg.connect(url, autocommit=True) as beside:
        beside.execute("CREATE SCHEMA offer_ledger")
        beside.execute("CREATE TABLE offer_ledger.kept (number BIGINT)")

        def terminate(pid: int) -> None:
            state = "SELECT state FROM pg_stat_activity WHERE pid = %s AND query = 'COMMIT'"
            while not (row := beside.execute(state, (pid,)).fetchone()):
                time.sleep(0.001)
            if row == ("active",):
                beside.execute("SELECT pg_terminate_backend(%s)", (pid,))

        def insert(tx: Cursor, number: int) -> None:
            # Delays the reply to COMMIT, so that the connection can be terminated before it.
            tx.execute("SET commit_delay TO 100000; SET commit_siblings TO 0")
            pid = tx.execute("SELECT pg_backend_pid() AS pid").fetchone()["pid"]
            tx.execute("INSERT INTO kept VALUES (?)", (number,))
            threading.Thread(target=terminate, args=(pid,), daemon=True).start()

        unknown = tries = 0
        while unknown < TRIES:  # on a busy machine, a COMMIT may end before it is seen
            tries += 1
            try:
                with database.schema_change() as tx:
                    insert(tx, tries)
            except OutcomeUnknown:
                unknown += 1
        kept = beside.execute("SELECT count(*) FROM offer_ledger.kept").fetchone()
        assert kept == (tries,)
