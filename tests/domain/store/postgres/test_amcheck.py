"""Verification checks the tables and indexes of PostgreSQL with the extension amcheck, or reports why it did not."""

from collections.abc import Iterator
from contextlib import closing
from urllib.parse import urlsplit
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql

from api.service import Service
from api.settings import Settings
from api.wiring import open_service
from domain.store.database import NotChecked
from projections.maintenance.verification import Verification, verify_ledger
from tests.support.harness import Clock
from tests.support.histories.full_ledger import record_everything
from tests.support.table_contents import change_by_hand

VERIFY_HEAPAM = "verify_heapam(regclass, boolean, boolean, text, bigint, bigint)"
Admin = psycopg.Connection[tuple[object, ...]]


@pytest.fixture
def full(oldest: Settings) -> Iterator[Service]:
    """A ledger with an example of every kind of data, in a database where no other test uses the extension."""
    with closing(psycopg.connect(oldest.database_url, autocommit=True)) as server:
        name = f"test_{uuid4().hex}"
        server.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    clock = Clock()
    url = urlsplit(oldest.database_url)._replace(path=f"/{name}").geturl()
    with open_service(Settings(database_url=url), clock) as service:
        record_everything(service, clock)
        yield service


@pytest.fixture
def admin(full: Service) -> Iterator[Admin]:
    """The connection of a superuser to the database of the ledger."""
    with closing(psycopg.connect(full.settings.database_url, autocommit=True)) as connection:
        connection.execute("SET search_path TO offer_ledger, public")
        yield connection


def verified(service: Service) -> Verification:
    return verify_ledger(service.ledger)


def test_verification_reports_a_missing_extension(full: Service) -> None:
    (missing,) = verified(full).not_checked
    assert missing.what == "indexes and tables of PostgreSQL"
    assert missing.reason.startswith("the database does not have the extension amcheck")


@pytest.mark.parametrize("schema", ["public", "Extra schema"])
def test_verification_checks_tables_and_indexes_of_postgresql(full: Service, admin: Admin, schema: str) -> None:
    name = sql.Identifier(schema)
    admin.execute(sql.SQL("CREATE SCHEMA IF NOT EXISTS {0}; CREATE EXTENSION amcheck SCHEMA {0}").format(name))
    assert verified(full) == Verification([], [])


def test_verification_finds_an_index_that_lacks_a_row(full: Service, admin: Admin) -> None:
    admin.execute("CREATE EXTENSION amcheck")
    ready = "UPDATE pg_index SET indisready = {} WHERE indexrelid = 'commits_by_actor'::regclass"
    admin.execute(ready.format("FALSE"))
    change_by_hand(full.ledger, "UPDATE commits SET actor = 'mallory' WHERE first_position = 2")
    admin.execute(ready.format("TRUE"))
    found = verified(full)
    assert found.damaged
    assert [difference.where for difference in found.differences] == ["database"]
    assert "commits_by_actor" in str(found.differences)


def test_verification_finds_rows_older_than_their_table(full: Service, admin: Admin) -> None:
    admin.execute("CREATE EXTENSION amcheck")
    newest = "CAST(CAST(pg_current_xact_id() AS text) AS xid)"
    admin.execute(f"UPDATE pg_class SET relfrozenxid = {newest} WHERE oid = 'streams'::regclass")
    found = verified(full)
    assert found.damaged
    assert found.differences[0].where == "database"
    assert "streams: block 0, row 1: xmin" in str(found.differences[0].found)


@pytest.mark.parametrize(
    ("function", "what"),
    [("bt_index_check(regclass, boolean)", "indexes"), (VERIFY_HEAPAM, "tables")],
)
def test_verification_reports_functions_that_the_role_may_not_call(
    full: Service, admin: Admin, function: str, what: str
) -> None:
    admin.execute(
        "CREATE EXTENSION amcheck SCHEMA public; CREATE ROLE reader LOGIN; GRANT USAGE ON SCHEMA offer_ledger TO reader"
    )
    admin.execute("GRANT SELECT ON ALL TABLES IN SCHEMA offer_ledger TO reader")
    admin.execute("GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA public TO reader")
    admin.execute(f"REVOKE EXECUTE ON ROUTINE {function} FROM reader")
    url = full.settings.database_url.replace("postgres@", "reader@")
    try:
        with open_service(Settings(database_url=url), Clock()) as service:
            found = verified(service)
    finally:
        admin.execute("DROP OWNED BY reader; DROP ROLE reader")
    reason = f"the role reader may not call {function.partition('(')[0]} of the extension amcheck"
    assert found == Verification([], [NotChecked(f"{what} of PostgreSQL", reason)])
