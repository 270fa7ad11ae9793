"""Uploads that do not become runs: refused ones, abandoned ones, and those of a killed process."""

import asyncio
import os
import socket
import threading
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import pytest

from api.http.paths import BATCH_PATH
from api.processes.worker_processes import WorkerProcess
from api.runs import batch_process
from api.runs.acceptance import RunSender, UploadedBody
from api.runs.batch_process import WorkerContext
from api.runs.uploads.abandoned_uploads import ABANDONED_SECONDS, AbandonedUploads
from api.service import Service
from api.settings import Settings
from domain.ledgers.run_ledger import AcceptedRun, RunLedger
from domain.store.records.compression import compress
from tests.support.calls.offers_files import record, send_file
from tests.support.engine import only_sqlite
from tests.support.examples import PARTNER, batch, body, item
from tests.support.harness import Call, Caller, Clock, MakeToken, run_ledger
from tests.support.histories.runs import count_rows
from tests.support.waiting import PATIENCE_SECONDS, wait_until

MARK = "OFFER_LEDGER_TEST_MARK"
LARGE = body(batch("Insert", [item(f"TP-{number}", offerDetails="Noodles. " * 300) for number in range(450)]))
NOISE = os.urandom(3 * 1024 * 1024)


@pytest.fixture
def runs(service: Service) -> RunLedger:
    return run_ledger(service.ledger)


# Refused


def test_refused_upload_counts_as_a_request(call: Call, token: MakeToken) -> None:
    caller = call(token(requests_per_minute=2))
    assert caller.send(body(batch("Insert", [item()]))).status_code == 200
    assert [caller.send(b"no JSON").status_code for _ in range(2)] == [400, 400]
    refused = caller.send(body(batch("Insert", [item("TP-2")])))
    assert (refused.status_code, refused.json()["type"]) == (429, "too-many-requests")
    assert caller.get("/api/v1/offers").status_code == 429


def test_other_requests_do_not_use_up_the_refused_uploads(call: Call, token: MakeToken) -> None:
    caller = call(token(requests_per_minute=1))
    assert [caller.get("/api/v1/offers").status_code for _ in range(2)] == [200, 429]
    assert caller.send(body(batch("Insert", [item()]))).status_code == 200


@only_sqlite
def test_refused_uploads_use_the_same_space(partner: Caller, settings: Settings) -> None:
    sizes = []
    for _ in range(5):
        assert partner.send(NOISE).status_code == 400
        sizes.append(sum(file.stat().st_size for file in settings.database.parent.glob("ledger.db*")))
    # The third one at the latest writes the log of SQLite into the file.
    assert sizes[2] == sizes[-1]


# Abandoned


def accept_late(context: WorkerContext, uploaded: UploadedBody, sender: RunSender) -> AcceptedRun:
    """Occupies its process if the sender is the test's partner."""
    if sender.partner == PARTNER:
        time.sleep(60)
        Path(os.environ[MARK]).touch()
    return batch_process.accept_in_worker(context, uploaded, sender)


def test_batch_does_not_wait_for_uploads_whose_clients_left(
    partner: Caller, call: Call, token: MakeToken, service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(MARK, str(tmp_path / "mark"))
    monkeypatch.setattr(
        "api.runs.supervisor.batch_process", SimpleNamespace(**vars(batch_process) | {"accept_in_worker": accept_late})
    )
    head = f"POST {BATCH_PATH} HTTP/1.1\r\nHost: x\r\nAuthorization: {partner.http.headers['Authorization']}\r\n"
    head += f"Content-Type: application/json\r\nContent-Length: {len(LARGE)}\r\n\r\n"
    url = urlsplit(str(partner.http.base_url))
    for _ in range(2):
        with socket.create_connection((url.hostname, url.port)) as connection:
            connection.sendall(head.encode() + LARGE)
            wait_until(lambda: count_rows(service.ledger, "run_bodies"))
    assert call(token(partner="harbor")).send(LARGE).status_code == 200
    assert not (tmp_path / "mark").exists()
    wait_until(lambda: not count_rows(service.ledger, "run_bodies"))
    assert partner.get("/api/v1/runs").json()["items"] == []


def test_batch_does_not_wait_for_large_runs_of_another_partner(
    partner: Caller, call: Call, token: MakeToken, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    may_end, run = threading.Event(), WorkerProcess.call

    async def run_late(self: WorkerProcess, function: Any, *args: Any) -> Any:
        if function is batch_process.execute_in_worker and service.runs.find(args[1]).partner == PARTNER:  # type: ignore[union-attr]
            await asyncio.to_thread(may_end.wait, PATIENCE_SECONDS)
        return await run(self, function, *args)

    monkeypatch.setattr(WorkerProcess, "call", run_late)
    records = [record(f"F-{number}", offerDetails="Noodles. " * 300) for number in range(450)]
    assert partner.send(LARGE, Prefer="respond-async").status_code == 202
    assert send_file(partner, *records, Prefer="respond-async").status_code == 202
    assert call(token(partner="harbor")).send(LARGE).status_code == 200
    may_end.set()
    wait_until(lambda: {run["state"] for run in partner.get("/api/v1/runs").json()["items"]} == {"completed"})


# Killed


def test_clock_that_jumps_removes_no_upload(runs: RunLedger, clock: Clock) -> None:
    uploads = AbandonedUploads(runs)
    runs.store_body(uuid4(), 0, [compress(b"one")])
    assert uploads.remove(0) == 0
    clock.move(hours=3)
    assert uploads.remove(ABANDONED_SECONDS - 1) == 0
    assert count_rows(runs.ledger, "run_bodies") == 1


def test_upload_without_new_chunks_is_removed_after_an_hour(runs: RunLedger) -> None:
    uploads, run_id = AbandonedUploads(runs), uuid4()
    runs.store_body(run_id, 0, [compress(b"one")])
    assert uploads.remove(0) == 0
    runs.store_body(run_id, 1, [compress(b"other")])
    assert uploads.remove(ABANDONED_SECONDS) == 0
    assert uploads.remove(2 * ABANDONED_SECONDS) == 1
    assert count_rows(runs.ledger, "run_bodies") == 0
