"""Is an offers file carried out once and as a whole, at whatever moment the server dies?

`make faults` kills it twenty times, with the lease that servers have; the ordinary suite once, with a short one.
OFFER_LEDGER_TEST_SEED repeats a series.
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
from tests.support.calls.offers_files import REPLAYED, done, offers_file, record, runs, send_form
from tests.support.examples import body
from tests.support.harness import Caller
from tests.support.histories.runs import rows
from tests.support.processes.fault_server import PATIENCE_SECONDS, SECRET, kill, position, prepared
from tests.support.processes.shell import RunningServer

KILLS = int(os.environ.get("OFFER_LEDGER_TEST_KILLS", "1"))
LEASE_SECONDS = float(os.environ.get("OFFER_LEDGER_TEST_LEASE", "2"))
SEED = int(os.environ.get("OFFER_LEDGER_TEST_SEED", str(random.SystemRandom().randrange(10**6))))
FINISHED_WITHIN_SECONDS = LEASE_SECONDS + 5
RECORDS = 5_000
FIRST_DAY = date(2026, 11, 1)


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    return prepared(tmp_path, monkeypatch, LEASE_SECONDS)


def large_file(day: int) -> tuple[str, bytes]:
    """The name and the text of a file that says something else of every offer every day."""
    records = [record(f"OFR-{n}", offerName=f"Noodles {n}, day {day}") for n in range(RECORDS)]
    dated = FIRST_DAY + timedelta(days=day)
    return f"TidepoolOffers{dated:%Y%m%d}.json", body(offers_file(*records, fileCreationDate=str(dated)))


def send_and_forget(caller: Caller, name: str, sent: bytes) -> threading.Thread:
    """Sends in a thread of its own; no reply is no error."""

    def send() -> None:
        try:
            send_form(caller, sent, name)
        except httpx2.HTTPError:
            return

    caller.http.timeout = PATIENCE_SECONDS
    thread = threading.Thread(target=send)
    thread.start()
    return thread


def found(caller: Caller, name: str) -> list[dict[str, Any]]:
    """The runs of the file."""
    return [run for run in runs(caller, channel="merchant") if run["fileName"] == name]


def require_all_or_nothing(settings: Settings, before: int) -> str:
    """What the dead server has left; tells which it was."""
    with open_service(settings) as service:
        events = rows(service.ledger, "events")
        bodies = rows(service.ledger, "run_bodies")
        assert verify(service.ledger) == []
    assert events in {before, before + RECORDS}
    return "applied" if events > before else f"nothing applied, {bodies} chunks of the body stored"


def require_finished_once(caller: Caller, name: str, sent: bytes, before: int) -> None:
    """What had been accepted is finished in time; what had not, has left nothing."""
    deadline = time.monotonic() + FINISHED_WITHIN_SECONDS
    of_file = found(caller, name)
    while of_file and of_file[0]["state"] != "completed":
        assert time.monotonic() < deadline, of_file
        time.sleep(0.1)
        of_file = found(caller, name)
    assert position(caller) == before + (RECORDS if of_file else 0)
    caller.http.timeout = PATIENCE_SECONDS
    reply = send_form(caller, sent, name)
    assert (done(reply)["counts"]["updated"], len(reply.json()["records"])) == (RECORDS, RECORDS)
    assert (REPLAYED in reply.headers) == bool(of_file)
    assert len(found(caller, name)) == 1
    assert position(caller) == before + RECORDS


def test_a_file_is_carried_out_once_whenever_the_server_dies(settings: Settings, tmp_path: Path) -> None:
    print(f"seed {SEED}")
    moments = random.Random(SEED)
    with RunningServer(settings, tmp_path / "first.log") as server:
        caller = server.call(SECRET)
        caller.http.timeout = PATIENCE_SECONDS
        name, sent = large_file(0)
        started = time.monotonic()
        assert done(send_form(caller, sent, name))["counts"]["created"] == RECORDS
        undisturbed = time.monotonic() - started
        before = position(caller)
    for day in range(1, KILLS + 1):
        name, sent = large_file(day)
        moment = moments.uniform(0, undisturbed * 1.1)
        with RunningServer(settings, tmp_path / f"{day}-killed.log") as server:
            sending = send_and_forget(server.call(SECRET), name, sent)
            time.sleep(moment)
            kill(server)
            sending.join()
        left = require_all_or_nothing(settings, before)
        with RunningServer(settings, tmp_path / f"{day}-again.log") as server:
            require_finished_once(server.call(SECRET), name, sent, before)
            assert "Traceback" not in server.log
        print(f"killed after {moment:.2f} s of {undisturbed:.2f} s: {left}")
        before += RECORDS
    with open_service(settings) as service:
        assert (rows(service.ledger, "inventory"), rows(service.ledger, "images")) == (RECORDS, 1)
        assert verify(service.ledger) == []
