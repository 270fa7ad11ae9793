"""Tests that a read is retried if its database connection is lost."""

from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from api.service import Service
from domain.values import Role
from tests.support.engine import only_postgres
from tests.support.harness import Call, MakeToken
from tests.support.waiting import wait_until

pytestmark = only_postgres

WAITS_FOR = (
    "SELECT pid FROM pg_locks l JOIN pg_class c ON c.oid = l.relation WHERE NOT granted AND c.oid = %s::regclass"
)


@pytest.mark.parametrize("table", ["tokens", "inventory"])
def test_read_with_lost_connection_is_retried_and_counts_once(
    call: Call, token: MakeToken, service: Service, table: str
) -> None:
    caller = call(token(Role.AUDITOR, requests_per_minute=1))
    url, locked_table = service.settings.database_url, f"{service.settings.database_schema}.{table}"
    with (
        psycopg.connect(url, autocommit=True) as observer,
        psycopg.connect(url) as lock_holder,
        ThreadPoolExecutor(1) as callers,
    ):
        lock_holder.execute(f"LOCK TABLE {locked_table} IN ACCESS EXCLUSIVE MODE")
        reply = callers.submit(caller.get, "/api/v1/offers")
        waiting = wait_until(lambda: observer.execute(WAITS_FOR, (locked_table,)).fetchone())
        observer.execute("SELECT pg_terminate_backend(%s)", waiting)
        lock_holder.rollback()
        assert reply.result().status_code == 200
