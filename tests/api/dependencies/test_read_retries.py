"""Is a question answered, though the connection on which it was read is lost?"""

import time
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from api.service import Service
from domain.values import Role
from tests.support.engine import only_postgres
from tests.support.harness import Call, MakeToken

pytestmark = only_postgres

WAITS_FOR = (
    "SELECT pid FROM pg_locks l JOIN pg_class c ON c.oid = l.relation WHERE NOT granted AND c.oid = %s::regclass"
)


@pytest.mark.parametrize("table", ["tokens", "inventory"])
def test_a_read_whose_connection_is_lost_in_the_midst_of_it_is_read_again_and_counts_once(
    call: Call, token: MakeToken, service: Service, table: str
) -> None:
    caller = call(token(Role.AUDITOR, requests_per_minute=1))
    url, held = service.settings.database_url, f"{service.settings.database_schema}.{table}"
    with (
        psycopg.connect(url, autocommit=True) as beside,
        psycopg.connect(url) as holding,
        ThreadPoolExecutor(1) as callers,
    ):
        holding.execute(f"LOCK TABLE {held} IN ACCESS EXCLUSIVE MODE")
        asked = callers.submit(caller.get, "/api/v1/offers")
        while not (waiting := beside.execute(WAITS_FOR, (held,)).fetchone()):
            time.sleep(0.005)
        beside.execute("SELECT pg_terminate_backend(%s)", waiting)
        holding.rollback()
        assert asked.result().status_code == 200
