"""A batch is executed exactly once, even if the server is killed at any time.

`make faults` kills the server twenty times, with the default lease; the ordinary suite kills it once, with a short
lease. OFFER_LEDGER_TEST_SEED repeats a series.
"""

import os
import random
import socket
import time
from pathlib import Path

import httpx2
import pytest

from api.settings import Settings
from api.wiring import open_service
from projections.maintenance.verification import verify
from tests.support.harness import Caller
from tests.support.processes.fault_server import (
    OFFERS,
    RUNS,
    SECRET,
    find_runs,
    kill,
    large_batch,
    new_ledger_settings,
    position,
    send_and_forget,
)
from tests.support.processes.shell import RunningServer
from tests.support.waiting import wait_until

KILLS = int(os.environ.get("OFFER_LEDGER_TEST_KILLS", "1"))
LEASE_SECONDS = float(os.environ.get("OFFER_LEDGER_TEST_LEASE", "2"))
SEED = int(os.environ.get("OFFER_LEDGER_TEST_SEED", str(random.SystemRandom().randrange(10**6))))


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    return new_ledger_settings(tmp_path, monkeypatch, LEASE_SECONDS)


def require_finished_once(caller: Caller, request_id: str, sent: bytes, before: int) -> str:
    """Requires that an accepted batch is finished, and that any other one left nothing. Returns its fate."""
    runs = find_runs(caller, request_id)
    fate = f"state {runs[0]['state']}" if runs else "not accepted"
    if runs:
        wait_until(lambda: find_runs(caller, request_id)[0]["state"] == "completed")
    else:
        assert position(caller) == before
    reply = caller.send(sent)
    assert reply.status_code == 200, reply.text
    assert ("Idempotency-Replayed" in reply.headers) == bool(runs)
    assert len(find_runs(caller, request_id)) == 1
    assert position(caller) == before + OFFERS
    return fate


def test_run_is_finished_once_whenever_the_server_is_killed(settings: Settings, tmp_path: Path) -> None:
    print(f"seed {SEED}")
    chance = random.Random(SEED)
    with RunningServer(settings, tmp_path / "first.log") as server:
        caller = server.call(SECRET)
        started = time.monotonic()
        assert caller.send(large_batch("first")[1]).status_code == 200
        undisturbed = time.monotonic() - started
        before = position(caller)
    for n in range(KILLS):
        request_id, sent = large_batch(f"version {n}")
        delay = chance.uniform(0, undisturbed * 1.1)
        with RunningServer(settings, tmp_path / f"{n}-killed.log") as server:
            sending = send_and_forget(server.call(SECRET), sent)
            time.sleep(delay)
            kill(server)
            sending.join()
        with RunningServer(settings, tmp_path / f"{n}-again.log") as server:
            fate = require_finished_once(server.call(SECRET), request_id, sent, before)
        print(f"killed after {delay:.2f} s of {undisturbed:.2f} s: {fate}")
        before += OFFERS
    with open_service(settings) as service:
        assert verify(service.ledger) == []


def test_run_continues_if_its_client_disconnects(settings: Settings, tmp_path: Path) -> None:
    request_id, sent = large_batch("once")
    with RunningServer(settings, tmp_path / "serve.log") as server:
        caller = server.call(SECRET)
        leaving = Caller(server.url, SECRET)
        sending = send_and_forget(leaving, sent)
        wait_until(lambda: find_runs(caller, request_id))
        leaving.http.close()
        wait_until(lambda: find_runs(caller, request_id)[0]["state"] == "completed")
        sending.join()
        assert find_runs(caller, request_id)[0]["counts"]["created"] == OFFERS


def test_incomplete_request_leaves_nothing(settings: Settings, tmp_path: Path) -> None:
    _, sent = large_batch("never")
    with RunningServer(settings, tmp_path / "serve.log") as server:
        caller = server.call(SECRET)
        url = httpx2.URL(server.url)
        with socket.create_connection((url.host, url.port or 0)) as connection:
            head = (
                f"POST /api/v1/integrations/offer-providers/custom/offers HTTP/1.1\r\nHost: x\r\n"
                f"Authorization: ApiToken {SECRET}\r\nContent-Type: application/json\r\n"
                f"Content-Length: {len(sent)}\r\n\r\n"
            )
            connection.sendall(head.encode() + sent[:-1])
        wait_until(lambda: not stored_chunks(settings))
        assert caller.get(RUNS).json()["items"] == []


def stored_chunks(settings: Settings) -> int:
    with open_service(settings) as service, service.ledger.recorder.read() as tx:
        return int(tx.execute("SELECT count(*) AS n FROM run_bodies").fetchone()["n"])
