"""A backup of a ledger in use is a complete ledger that can be served.

On SQLite, `offer-ledger backup` makes it; on PostgreSQL, `pg_dump` does."""

import subprocess
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from api.settings import Settings
from api.wiring import open_service
from domain.access.partner import SetPartner
from domain.values import OfferKey
from projections.maintenance.verification import verify
from tests.support.engine import only_postgres, only_sqlite, postgres_program, temporary_database
from tests.support.examples import PARTNER
from tests.support.harness import OPERATOR, Caller
from tests.support.histories.single_requests import merchant_key
from tests.support.histories.single_requests import send as put
from tests.support.processes.fault_server import RUNS, SECRET, BackgroundWork, offer_versions, position, prepare_ledger
from tests.support.processes.shell import Run, RunningServer, require_refusal, require_success, run_script, send
from tests.support.waiting import wait_until

BATCH = 50
BACKUPS = 2
LEASE_SECONDS = 1.0


class Writers(BackgroundWork):
    """Two writers, one with batches and one with single offers. They remember all acknowledged offers and batches."""

    def __init__(self, callers: tuple[Caller, Caller]) -> None:
        self.offers: list[OfferKey] = []
        self.batches = 0
        by_put, by_batch = callers
        super().__init__(partial(self._put, by_put), partial(self._send, by_batch))

    def go_on(self) -> list[OfferKey]:
        """Returns when more has been acknowledged, on both ways; the offers that have been by then."""
        offers, batches = len(self.offers), self.batches
        wait_until(lambda: len(self.offers) > offers and self.batches > batches)
        return list(self.offers)

    def _put(self, caller: Caller) -> None:
        while not self.is_stopping:
            key = merchant_key(f"MO-{len(self.offers)}")
            assert put(caller, key, "Open a jar").status_code == 202
            self.offers.append(key)

    def _send(self, caller: Caller) -> None:
        while not self.is_stopping:
            assert send(caller, "Insert", *(f"TP-{self.batches}-{n}" for n in range(BATCH))) == 200
            self.batches += 1


@pytest.fixture
def in_use(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Writers]:
    """Writers on a running server, for a partner without limits."""
    prepare_ledger(settings, monkeypatch, LEASE_SECONDS)
    with open_service(settings) as service:
        service.ledger.handle(SetPartner(PARTNER, rps=0, daily_quota=0), OPERATOR)
    with (
        RunningServer(settings, tmp_path / "first.log") as server,
        Writers((server.call(SECRET), server.call(SECRET))) as writers,
    ):
        yield writers


def require_complete(restored: Settings, acknowledged: list[OfferKey], log: Path) -> None:
    """Verifies and serves a restored ledger: it has all acknowledged offers, finishes open runs and accepts offers."""
    require_success(run_script(restored, "projections", "verify"))
    with open_service(restored) as copy:
        assert offer_versions(copy, acknowledged) == [1] * len(acknowledged)
    with RunningServer(restored, log) as server:
        caller = server.call(SECRET)
        wait_until(lambda: all(run["state"] == "completed" for run in caller.get(RUNS).json()["items"]))
        before = position(caller)
        assert put(caller, merchant_key("MO-new"), "Open a jar").status_code == 202
        assert send(caller, "Insert", "TP-new") == 200
        assert position(caller) == before + 2
    with open_service(restored) as copy:
        assert verify(copy.ledger) == []


@only_sqlite
def test_backup_under_load_is_a_complete_ledger(run: Run, in_use: Writers, tmp_path: Path) -> None:
    for number in range(BACKUPS):
        acknowledged = in_use.go_on()
        out = tmp_path / f"copy-{number}.db"
        copied_position = run("backup", "--out", out, "--json").json["position"]
        copied = Settings(database_url=f"sqlite:///{out}")
        with open_service(copied) as copy:
            assert copy.ledger.recorder.max_notification_id() == copied_position
            assert verify(copy.ledger) == []
    require_complete(copied, acknowledged, tmp_path / "serve.log")


@only_postgres
def test_pg_dump_under_load_restores_to_a_complete_ledger(settings: Settings, in_use: Writers, tmp_path: Path) -> None:
    acknowledged = in_use.go_on()
    dump, schema = tmp_path / "ledger.dump", settings.database_schema
    options = ["--format=custom", f"--schema={schema}", f"--file={dump}", settings.database_url]
    subprocess.run([postgres_program("pg_dump"), *options], check=True)
    with temporary_database() as url:
        subprocess.run([postgres_program("pg_restore"), "--exit-on-error", f"--dbname={url}", dump], check=True)
        require_complete(Settings(database_url=url, database_schema=schema), acknowledged, tmp_path / "serve.log")


@only_sqlite
@pytest.mark.usefixtures("service")
def test_backup_prints_its_file_and_how_to_check_it(run: Run, tmp_path: Path) -> None:
    out = tmp_path / "copy.db"
    first, last = require_success(run("backup", "--out", out)).splitlines()
    assert first == f"Copied the ledger as of position 1 to {out}."
    assert last.endswith("offer-ledger projections verify")
    require_refusal(run("backup", "--out", out), "--out", "already exists")
    require_refusal(run("backup", "--out", tmp_path / "none" / "copy.db"), "--out", "cannot write")
