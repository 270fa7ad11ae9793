"""Is it never told that nothing has been changed, when a connection is lost while its COMMIT is carried out?"""

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
from tests.support.postgres.private_server import OwnPostgres

pytestmark = only_postgres

TRIES = 5


@pytest.fixture
def url(tmp_path: Path) -> Iterator[str]:
    postgres = OwnPostgres(tmp_path / "data")
    yield postgres.url
    postgres.end()


def test_who_is_ended_while_it_commits_does_not_know_what_has_become_of_it(url: str) -> None:
    with closing(open_database(DatabaseLocation(url))) as database, psycopg.connect(url, autocommit=True) as beside:
        beside.execute("CREATE SCHEMA offer_ledger")
        beside.execute("CREATE TABLE offer_ledger.kept (number BIGINT)")

        def end(pid: int) -> None:
            told = "SELECT 1 FROM pg_stat_activity WHERE pid = %s AND query = 'COMMIT' AND state = 'active'"
            while not beside.execute(told, (pid,)).fetchone():
                time.sleep(0.001)
            beside.execute("SELECT pg_terminate_backend(%s)", (pid,))

        def keep(tx: Cursor, number: int) -> None:
            # A moment between what is kept and its answer.
            tx.execute("SET commit_delay TO 100000; SET commit_siblings TO 0")
            pid = tx.execute("SELECT pg_backend_pid() AS pid").fetchone()["pid"]
            tx.execute("INSERT INTO kept VALUES (?)", (number,))
            threading.Thread(target=end, args=(pid,)).start()

        for number in range(TRIES):
            with pytest.raises(OutcomeUnknown), database.schema_change() as tx:
                keep(tx, number)
        kept = beside.execute("SELECT count(*) FROM offer_ledger.kept").fetchone()
        assert kept == (TRIES,)
