"""Does a run end as it should, once, at whatever moment the server dies?

`make faults` kills it twenty times, with the lease that servers have; the ordinary suite once, with a short one.
OFFER_LEDGER_TEST_SEED repeats a series.
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
    found,
    kill,
    large_batch,
    position,
    prepared,
    send_and_forget,
)
from tests.support.processes.shell import RunningServer

KILLS = int(os.environ.get("OFFER_LEDGER_TEST_KILLS", "1"))
LEASE_SECONDS = float(os.environ.get("OFFER_LEDGER_TEST_LEASE", "2"))
SEED = int(os.environ.get("OFFER_LEDGER_TEST_SEED", str(random.SystemRandom().randrange(10**6))))
FINISHED_WITHIN_SECONDS = LEASE_SECONDS + 5


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    return prepared(tmp_path, monkeypatch, LEASE_SECONDS)


def require_finished_once(caller: Caller, request_id: str, sent: bytes, before: int) -> str:
    """What had been accepted is finished in time; what had not, has left nothing. Tells which it was."""
    deadline = time.monotonic() + FINISHED_WITHIN_SECONDS
    runs = found(caller, request_id)
    fate = f"found {runs[0]['state']}" if runs else "not accepted"
    while runs and runs[0]["state"] != "completed":
        assert time.monotonic() < deadline, runs
        time.sleep(0.1)
        runs = found(caller, request_id)
    if not runs:
        assert position(caller) == before
    reply = caller.send(sent)
    assert reply.status_code == 200, reply.text
    assert ("Idempotency-Replayed" in reply.headers) == bool(runs)
    assert len(found(caller, request_id)) == 1
    assert position(caller) == before + OFFERS
    return fate


def test_a_run_is_finished_once_whenever_the_server_dies(settings: Settings, tmp_path: Path) -> None:
    print(f"seed {SEED}")
    moments = random.Random(SEED)
    with RunningServer(settings, tmp_path / "first.log") as server:
        caller = server.call(SECRET)
        started = time.monotonic()
        assert caller.send(large_batch("at first")[1]).status_code == 200
        undisturbed = time.monotonic() - started
        before = position(caller)
    for n in range(KILLS):
        request_id, sent = large_batch(f"version {n}")
        moment = moments.uniform(0, undisturbed * 1.1)
        with RunningServer(settings, tmp_path / f"{n}-killed.log") as server:
            sending = send_and_forget(server.call(SECRET), sent)
            time.sleep(moment)
            kill(server)
            sending.join()
        with RunningServer(settings, tmp_path / f"{n}-again.log") as server:
            fate = require_finished_once(server.call(SECRET), request_id, sent, before)
        print(f"killed after {moment:.2f} s of {undisturbed:.2f} s: {fate}")
        before += OFFERS
    with open_service(settings) as service:
        assert verify(service.ledger) == []


def test_a_run_goes_on_when_its_client_disconnects(settings: Settings, tmp_path: Path) -> None:
    request_id, sent = large_batch("once")
    with RunningServer(settings, tmp_path / "serve.log") as server:
        caller = server.call(SECRET)
        hasty = Caller(server.url, SECRET)
        sending = send_and_forget(hasty, sent)
        while not found(caller, request_id):
            time.sleep(0.01)
        hasty.http.close()
        deadline = time.monotonic() + 60
        while found(caller, request_id)[0]["state"] != "completed":
            assert time.monotonic() < deadline
            time.sleep(0.1)
        sending.join()
        assert found(caller, request_id)[0]["counts"]["created"] == OFFERS


def test_a_client_that_disconnects_before_the_end_of_its_request_leaves_nothing(
    settings: Settings, tmp_path: Path
) -> None:
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
        deadline = time.monotonic() + 30
        while stored_chunks(settings):
            assert time.monotonic() < deadline
            time.sleep(0.1)
        assert caller.get(RUNS).json()["items"] == []


def stored_chunks(settings: Settings) -> int:
    with open_service(settings) as service, service.ledger.recorder.read() as tx:
        return int(tx.execute("SELECT count(*) AS n FROM run_bodies").fetchone()["n"])
