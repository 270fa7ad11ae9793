"""Ledgers of older schema versions are migrated and keep their data.

They are in golden/, one per version and database, and never change. tests/support/histories/full_ledger.py describes how they
were created."""

import gzip
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest

from api.service import Service
from api.settings import Settings
from api.wiring import open_service
from domain.ledgers.run_ledger import AcceptedRun
from domain.runs.run import OffersFile, OutcomeCounts, Progress, RunRequest
from domain.single_requests.request import TraceOutcome
from domain.store.cursor import Cursor, parse_index
from domain.store.factory import open_database
from domain.store.migrations import apply_step, find_schema_version, pending_steps
from domain.store.records.runs import RunFilter, select_runs
from domain.store.schema import SCHEMA_VERSION, TABLES
from domain.values import Channel, Operation
from projections.maintenance.verification import verify
from tests.support.engine import IS_POSTGRES, empty_database, postgres_url
from tests.support.examples import item
from tests.support.harness import OPERATOR, Clock, run_batch, run_ledger
from tests.support.histories.full_ledger import MERCHANTS
from tests.support.histories.offers_files import document, process, record
from tests.support.histories.runs import accepted_run, count_rows
from tests.support.histories.single_requests import outcomes_of, put

GOLDEN = Path(__file__).with_name("golden")
SCHEMA = "golden_ledger"
EVERYTHING = {
    "commits": 42, "events": 72, "streams": 45, "images": 1, "runs": 6, "run_bodies": 1, "traces": 9, "partners": 2,
    "tokens": 2, "inventory": 18, "redemption_windows": 18, "redemptions": 6,
}  # fmt: skip
SINCE_VERSION_7 = EVERYTHING | {"commits": 43, "events": 73, "streams": 46}
WITH_HOLDS = EVERYTHING | {"commits": 46, "events": 76, "streams": 48}
COUNTS = {
    **dict.fromkeys((4, 5, 6), EVERYTHING),
    **dict.fromkeys((7, 8), SINCE_VERSION_7),
    9: WITH_HOLDS,
}
VERSIONS = pytest.mark.parametrize("version", COUNTS)


def restore(settings: Settings, version: int) -> None:
    if not IS_POSTGRES:
        settings.database.write_bytes(gzip.decompress((GOLDEN / f"version-{version}.db.gz").read_bytes()))
        return
    dump = gzip.decompress((GOLDEN / f"version-{version}.sql.gz").read_bytes()).decode()
    with psycopg.connect(postgres_url(), autocommit=True) as connection:
        connection.execute(dump.replace(SCHEMA, settings.database_schema).encode())


def migrate(settings: Settings, version: int) -> None:
    database = open_database(settings.database_location)
    assert find_schema_version(database) == version
    for step in pending_steps(version):
        assert apply_step(database, step)
    database.close()


@pytest.fixture
def migrated(settings: Settings, version: int, clock: Clock) -> Iterator[Service]:
    restore(settings, version)
    migrate(settings, version)
    clock.move(days=100)
    with open_service(settings, clock) as service:
        yield service


def primary_tables(tx: Cursor) -> dict[str, Any]:
    """Returns the columns and indexes of each primary table."""
    names = [statement.split()[2] for statement in TABLES if statement.split()[:2] == ["CREATE", "TABLE"]]
    return {
        name: (
            tx.dialect.columns(tx, tx.dialect.live_prefix, name),
            sorted(parse_index(statement) for statement in tx.dialect.index_statements(tx, name)),
        )
        for name in names
    }


@VERSIONS
def test_migrated_ledger_keeps_its_data_and_accepts_writes(migrated: Service, version: int) -> None:
    assert {table: count_rows(migrated.ledger, table) for table in COUNTS[version]} == COUNTS[version]
    assert migrated.ledger.recorder.max_notification_id() == COUNTS[version]["events"]
    assert verify(migrated.ledger) == []
    run = run_batch(migrated.ledger, Operation.SYNCHRONIZE, [item("TP-1", headline="Mend a jar"), item("TP-99")])
    assert run.counts == OutcomeCounts(created=1, updated=1, paused=10)
    assert outcomes_of(migrated.single_requests.execute([put(MERCHANTS[2], "three")])) == [(TraceOutcome.RESTORED, 3)]
    assert verify(migrated.ledger) == []


@VERSIONS
def test_migrated_ledger_stores_run_progress(migrated: Service) -> None:
    runs = run_ledger(migrated.ledger)
    run = runs.claim(accepted_run(runs).run_id)
    runs.renew(run, Progress(1, 2))
    assert runs.progress(run) == Progress(1, 2)


@VERSIONS
def test_migrated_ledger_replays_only_its_newest_file(migrated: Service) -> None:
    runs = run_ledger(migrated.ledger)
    with migrated.ledger.recorder.read() as tx:
        (stored,) = [run for _, run in select_runs(tx, RunFilter(channel=Channel.MERCHANT), 0, 10)]
    assert isinstance(stored.input, OffersFile)
    sent_again = RunRequest(uuid4(), stored.partner, stored.input, stored.body_digest, stored.body_bytes)
    assert runs.accept(sent_again, OPERATOR) == AcceptedRun(stored, replayed=True)
    process(runs, document([record(MERCHANTS[0])]), stored.input.dated)
    assert not runs.accept(sent_again, OPERATOR).replayed


@VERSIONS
def test_migrated_ledger_has_the_tables_of_a_new_one(
    migrated: Service, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with (
        empty_database(tmp_path_factory.mktemp("new")) as settings,
        open_service(settings) as new,
        new.ledger.recorder.read() as new_tx,
        migrated.ledger.recorder.read() as migrated_tx,
    ):
        assert primary_tables(migrated_tx) == primary_tables(new_tx)


def test_golden_ledgers_exist_for_both_databases() -> None:
    assert max(COUNTS) <= SCHEMA_VERSION
    assert {path.name for path in GOLDEN.glob("version-*")} == {
        f"version-{version}.{kind}.gz" for version in COUNTS for kind in ("db", "sql")
    }
