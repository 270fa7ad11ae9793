"""An offers file is executed once and completely, even if the server is killed at any time.

`make faults` kills the server twenty times, with the default lease; the ordinary suite kills it once, with a short
lease. OFFER_LEDGER_TEST_SEED repeats a series.
"""

import os
import random
import threading
import time
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest

from api.settings import Settings
from api.wiring import open_service
from projections.maintenance.verification import verify
from tests.support.calls.offers_files import REPLAYED, completed_report, offers_file, record, runs, send_form
from tests.support.examples import body
from tests.support.harness import Caller
from tests.support.histories.runs import count_rows
from tests.support.processes.fault_server import SECRET, kill, new_ledger_settings, position
from tests.support.processes.shell import RunningServer
from tests.support.waiting import wait_until

KILLS = int(os.environ.get("OFFER_LEDGER_TEST_KILLS", "1"))
LEASE_SECONDS = float(os.environ.get("OFFER_LEDGER_TEST_LEASE", "2"))
SEED = int(os.environ.get("OFFER_LEDGER_TEST_SEED", str(random.SystemRandom().randrange(10**6))))
RECORDS = 5_000
FIRST_DAY = date(2020, 11, 1)


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    return new_ledger_settings(tmp_path, monkeypatch, LEASE_SECONDS)


def large_file(day: int) -> tuple[str, bytes]:
    """Returns the name and the text of a file that changes every offer every day."""
    records = [record(f"OFR-{n}", offerName=f"Noodles {n}, day {day}") for n in range(RECORDS)]
    dated = FIRST_DAY + timedelta(days=day)
    return f"TidepoolOffers{dated:%Y%m%d}.json", body(offers_file(*records, fileCreationDate=str(dated)))


def send_and_forget(caller: Caller, name: str, sent: bytes) -> threading.Thread:
    """Sends the file in a new thread, which ignores transport errors."""

    def send() -> None:
        try:
            send_form(caller, sent, name)
        except httpx2.HTTPError:
            return

    thread = threading.Thread(target=send)
    thread.start()
    return thread


def find_file_runs(caller: Caller, name: str) -> list[dict[str, Any]]:
    """Returns the runs of a file."""
    return [run for run in runs(caller, channel="merchant") if run["fileName"] == name]


def require_all_or_nothing(settings: Settings, before: int) -> str:
    """Checks the ledger of the killed server, and returns a description of what it stored."""
    with open_service(settings) as service:
        events = count_rows(service.ledger, "events")
        bodies = count_rows(service.ledger, "run_bodies")
        assert verify(service.ledger) == []
    assert events in {before, before + RECORDS}
    return "applied" if events > before else f"nothing applied, {bodies} chunks of the body stored"


def require_finished_once(caller: Caller, name: str, sent: bytes, before: int) -> None:
    """Requires that an accepted file is finished, and that any other file stored nothing."""
    file_runs = find_file_runs(caller, name)
    if file_runs:
        wait_until(lambda: find_file_runs(caller, name)[0]["state"] == "completed")
    assert position(caller) == before + (RECORDS if file_runs else 0)
    reply = send_form(caller, sent, name)
    assert (completed_report(reply)["counts"]["updated"], len(reply.json()["records"])) == (RECORDS, RECORDS)
    assert (REPLAYED in reply.headers) == bool(file_runs)
    assert len(find_file_runs(caller, name)) == 1
    assert position(caller) == before + RECORDS


@pytest.mark.long
def test_file_is_executed_once_whenever_the_server_is_killed(settings: Settings, tmp_path: Path) -> None:
    print(f"seed {SEED}")
    chance = random.Random(SEED)
    with RunningServer(settings, tmp_path / "first.log") as server:
        caller = server.call(SECRET)
        name, sent = large_file(0)
        started = time.monotonic()
        assert completed_report(send_form(caller, sent, name))["counts"]["created"] == RECORDS
        undisturbed = time.monotonic() - started
        before = position(caller)
    for day in range(1, KILLS + 1):
        name, sent = large_file(day)
        delay = chance.uniform(0, undisturbed * 1.1)
        with RunningServer(settings, tmp_path / f"{day}-killed.log") as server:
            sending = send_and_forget(server.call(SECRET), name, sent)
            time.sleep(delay)
            kill(server)
            sending.join()
        stored = require_all_or_nothing(settings, before)
        with RunningServer(settings, tmp_path / f"{day}-again.log") as server:
            require_finished_once(server.call(SECRET), name, sent, before)
            assert "Traceback" not in server.log
        print(f"killed after {delay:.2f} s of {undisturbed:.2f} s: {stored}")
        before += RECORDS
    with open_service(settings) as service:
        assert (count_rows(service.ledger, "inventory"), count_rows(service.ledger, "images")) == (RECORDS, 1)
        assert verify(service.ledger) == []
