"""Is a backup that is made while the ledger is in use a whole ledger, which serves where it is restored?

On SQLite `offer-ledger backup` makes it, on PostgreSQL its own tools do."""

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
from tests.support.engine import another_database, only_postgres, only_sqlite, postgres_program
from tests.support.examples import PARTNER
from tests.support.harness import OPERATOR, Caller
from tests.support.histories.single_requests import merchant_key
from tests.support.histories.single_requests import send as put
from tests.support.processes.fault_server import RUNS, SECRET, GoingOn, found_offers, position, prepared_there, until
from tests.support.processes.shell import Run, RunningServer, require_done, require_refusal, run_script, send

BATCH = 50
BACKUPS = 2
LEASE_SECONDS = 1.0


class Writers(GoingOn):
    """Two that go on until it is enough: one with batches, one with single offers; they remember what was acknowledged."""

    def __init__(self, callers: tuple[Caller, Caller]) -> None:
        self.offers: list[OfferKey] = []
        self.batches = 0
        by_put, by_batch = callers
        super().__init__(partial(self._put, by_put), partial(self._send, by_batch))

    def go_on(self) -> list[OfferKey]:
        """Returns when more has been acknowledged, on both ways; the offers that have been by then."""
        offers, batches = len(self.offers), self.batches
        until(lambda: len(self.offers) > offers and self.batches > batches)
        return list(self.offers)

    def _put(self, caller: Caller) -> None:
        while not self.is_enough:
            key = merchant_key(f"MO-{len(self.offers)}")
            assert put(caller, key, "Open a jar").status_code == 202
            self.offers.append(key)

    def _send(self, caller: Caller) -> None:
        while not self.is_enough:
            assert send(caller, "Insert", *(f"TP-{self.batches}-{n}" for n in range(BATCH))) == 200
            self.batches += 1


@pytest.fixture
def in_use(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Writers]:
    """By a partner who may send as much as it likes."""
    prepared_there(settings, monkeypatch, LEASE_SECONDS)
    with open_service(settings) as service:
        service.ledger.handle(SetPartner(PARTNER, rps=0, daily_quota=0), OPERATOR)
    with (
        RunningServer(settings, tmp_path / "first.log") as server,
        Writers((server.call(SECRET), server.call(SECRET))) as writers,
    ):
        yield writers


def require_good(restored: Settings, acknowledged: list[OfferKey], log: Path) -> None:
    """Verified, served, with everything that was acknowledged before; what was begun is finished, and what is written then
    follows on from it."""
    require_done(run_script(restored, "projections", "verify"))
    with open_service(restored) as copy:
        assert found_offers(copy, acknowledged) == [1] * len(acknowledged)
    with RunningServer(restored, log) as server:
        caller = server.call(SECRET)
        until(lambda: all(run["state"] == "completed" for run in caller.get(RUNS).json()["items"]))
        before = position(caller)
        assert put(caller, merchant_key("MO-new"), "Open a jar").status_code == 202
        assert send(caller, "Insert", "TP-new") == 200
        assert position(caller) == before + 2
    with open_service(restored) as copy:
        assert verify(copy.ledger) == []


@only_sqlite
def test_copies_that_are_made_under_load_are_whole_ledgers_that_serve(
    run: Run, in_use: Writers, tmp_path: Path
) -> None:
    for number in range(BACKUPS):
        acknowledged = in_use.go_on()
        out = tmp_path / f"copy-{number}.db"
        told = run("backup", "--out", out, "--json").json["position"]
        copied = Settings(database_url=f"sqlite:///{out}")
        with open_service(copied) as copy:
            assert copy.ledger.recorder.max_notification_id() == told
            assert verify(copy.ledger) == []
    require_good(copied, acknowledged, tmp_path / "serve.log")


@only_postgres
def test_what_pg_dump_has_taken_under_load_is_a_whole_ledger_that_serves_in_an_empty_database(
    settings: Settings, in_use: Writers, tmp_path: Path
) -> None:
    acknowledged = in_use.go_on()
    dump, schema = tmp_path / "ledger.dump", settings.database_schema
    told = ["--format=custom", f"--schema={schema}", f"--file={dump}", settings.database_url]
    subprocess.run([postgres_program("pg_dump"), *told], check=True)
    with another_database() as url:
        subprocess.run([postgres_program("pg_restore"), "--exit-on-error", f"--dbname={url}", dump], check=True)
        require_good(Settings(database_url=url, database_schema=schema), acknowledged, tmp_path / "serve.log")


@only_sqlite
@pytest.mark.usefixtures("service")
def test_where_the_copy_lies_and_how_it_is_checked_is_told(run: Run, tmp_path: Path) -> None:
    out = tmp_path / "copy.db"
    first, last = require_done(run("backup", "--out", out)).splitlines()
    assert first == f"Copied the ledger as of position 1 to {out}."
    assert last.endswith("offer-ledger projections verify")
    require_refusal(run("backup", "--out", out), "--out", "is there already")
    require_refusal(run("backup", "--out", tmp_path / "none" / "copy.db"), "--out", "can't be written")
