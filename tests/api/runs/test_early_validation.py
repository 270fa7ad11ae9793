"""A worker process validates a large batch while it arrives. Whatever happens to it, the batch has the same outcome."""

import asyncio
import gzip
import logging
import os
import random
import resource
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any
from urllib.parse import urlsplit

import pytest

from api.bounds.allowances import Allowance
from api.bounds.body import BodyBounds
from api.bounds.waiting_file import WaitingDisk, WaitingFile
from api.http.paths import BATCH_PATH
from api.processes.worker_processes import WorkerProcess
from api.runs.batch_process import EarlyBatch
from api.runs.supervisor import RunSupervisor
from api.runs.upload import Upload
from api.server.worker_threads import WorkerThreads
from api.service import Service
from api.settings import Settings
from tests.support.examples import PARTNER, batch, body, item
from tests.support.harness import Call, Caller, MakeToken
from tests.support.histories.runs import count_rows
from tests.support.waiting import wait_until

MIB = 1024 * 1024
OFFERS = 1300
VALIDATE, ACCEPT, EXECUTE = "validate_early_in_worker", "accept_in_worker", "execute_in_worker"


def large(operation: str = "Insert", text: Callable[[int], str] = lambda _: "Noodles. " * 300) -> bytes:
    """Returns a batch of more than 3 MiB."""
    return body(batch(operation, [item(f"TP-{number}", offerDetails=text(number)) for number in range(OFFERS)]))


class Calls:
    """The calls of the worker processes: name and process."""

    def __init__(self) -> None:
        self.made: list[tuple[str, int]] = []
        self.killed = ""
        """The name of a call whose process is killed once, before the call."""

    def processes(self, name: str) -> list[int]:
        return [pid for called, pid in self.made if called == name]


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Calls:
    seen, call = Calls(), WorkerProcess.call

    async def record(self: WorkerProcess, function: Any, *args: Any) -> Any:
        if function.__name__ == seen.killed:
            seen.killed = ""
            os.kill(self.pid, signal.SIGKILL)
        result = await call(self, function, *args)
        seen.made.append((function.__name__, self.pid))
        return result

    monkeypatch.setattr(WorkerProcess, "call", record)
    return seen


@pytest.fixture
def settings(settings: Settings, request: pytest.FixtureRequest) -> Settings:
    return settings.model_copy(update=getattr(request, "param", {"max_early_pause_seconds": 600.0}))


class UnfinishedBatch:
    """A batch of which the client has sent all bytes but the last ones."""

    def __init__(self, caller: Caller, sent: bytes, coding: str, end: int) -> None:
        url, self._last = urlsplit(str(caller.http.base_url)), sent[end:]
        self.connection = socket.create_connection((url.hostname or "", url.port or 0), timeout=120)
        head = f"POST {BATCH_PATH} HTTP/1.1\r\nHost: x\r\nAuthorization: {caller.http.headers['Authorization']}\r\n"
        head += f"Content-Type: application/json\r\nContent-Encoding: {coding}\r\nContent-Length: {len(sent)}\r\n\r\n"
        self.connection.sendall(head.encode() + sent[:end])

    def status_when_finished(self) -> int:
        self.connection.sendall(self._last)
        return int(self.connection.recv(64).split()[1])


@contextmanager
def unfinished(caller: Caller, sent: bytes, coding: str = "identity", end: int = -1) -> Iterator[UnfinishedBatch]:
    begun = UnfinishedBatch(caller, sent, coding, end)
    with closing(begun.connection):
        yield begun


@pytest.mark.parametrize("coding", ["identity", "gzip"])
def test_process_that_validates_early_accepts_and_executes(partner: Caller, calls: Calls, coding: str) -> None:
    sent = large()
    with unfinished(partner, gzip.compress(sent) if coding == "gzip" else sent, coding) as begun:
        if coding == "identity":
            wait_until(lambda: calls.processes(VALIDATE))
        assert begun.status_when_finished() == 200
    early = set(calls.processes(VALIDATE))
    assert len(early) == 1
    assert (set(calls.processes(ACCEPT)), set(calls.processes(EXECUTE))) == (early, early)
    repeated = partner.send(sent)
    assert (repeated.headers["Idempotency-Replayed"], repeated.json()["data"]["counts"]["created"]) == ("true", OFFERS)


def test_hint_of_an_early_process_decides_nothing(partner: Caller, calls: Calls) -> None:
    """The offers are the same when the second batch begins, and others when it ends."""
    assert partner.send(large()).status_code == 200
    sent = large("Synchronize")
    with unfinished(partner, sent) as begun:
        wait_until(lambda: len(calls.processes(VALIDATE)) > 1)
        change = body(batch("Insert", [item(offer_id, headline="Another jar") for offer_id in ("TP-0", "TP-1")]))
        assert partner.send(change).status_code == 200
        assert begun.status_when_finished() == 200
    counts = partner.send(sent).json()["data"]["counts"]
    assert (counts["updated"], counts["unchanged"]) == (2, OFFERS - 2)


def test_invalid_batch_is_refused_by_its_early_process(partner: Caller, calls: Calls) -> None:
    with unfinished(partner, large()[:-1] + b"]") as begun:
        wait_until(lambda: calls.processes(VALIDATE))
        assert begun.status_when_finished() == 400
    assert partner.send(large()).status_code == 200
    assert len(set(calls.processes(VALIDATE))) == 1


@pytest.mark.parametrize("settings", [{"max_early_pause_seconds": 0.2}], indirect=True)
def test_slow_upload_continues_without_its_process(
    partner: Caller, calls: Calls, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    with unfinished(partner, large()) as begun:
        wait_until(lambda: "slow upload" in caplog.text)
        assert begun.status_when_finished() == 200
    assert calls.processes(EXECUTE)


def test_complete_batch_takes_the_process_of_an_arriving_one(
    partner: Caller, call: Call, token: MakeToken, calls: Calls
) -> None:
    harbor = call(token(partner="harbor"))
    with unfinished(partner, large()) as first, unfinished(harbor, large()) as second:
        wait_until(lambda: len(set(calls.processes(VALIDATE))) == 2)
        assert call(token(partner="lagoon")).send(large()).status_code == 200
        assert [upload.status_when_finished() for upload in (first, second)] == [200, 200]
    # One of the two has kept its process. The other one, and the third partner, have been accepted as usual.
    assert len(set(calls.processes(VALIDATE)) & set(calls.processes(ACCEPT))) >= 1


@pytest.mark.parametrize("call_name", [VALIDATE, EXECUTE])
def test_batch_of_a_killed_process_is_executed_once(
    partner: Caller, calls: Calls, service: Service, call_name: str
) -> None:
    calls.killed = call_name
    sent = large()
    with unfinished(partner, sent) as begun:
        wait_until(lambda: not calls.killed or call_name == EXECUTE)
        assert begun.status_when_finished() == 200
    assert partner.send(sent).json()["data"]["counts"]["created"] == OFFERS
    assert (calls.killed, count_rows(service.ledger, "runs"), len(calls.processes(EXECUTE))) == ("", 1, 1)


def test_upload_whose_client_leaves_gives_its_process_back(partner: Caller, calls: Calls, service: Service) -> None:
    with unfinished(partner, large()):
        wait_until(lambda: calls.processes(VALIDATE))
    assert count_rows(service.ledger, "run_bodies") == 0
    assert partner.send(large()).status_code == 200
    assert len(set(calls.processes(VALIDATE))) == 1


def test_full_disk_ends_the_early_validation(partner: Caller, calls: Calls, service: Service) -> None:
    noise = random.Random(7)
    sent = large(text=lambda _: noise.randbytes(1400).hex())
    with unfinished(partner, sent, end=2 * MIB) as begun:
        wait_until(lambda: calls.processes(VALIDATE))
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (MIB // 2, before[1]))
        try:
            assert begun.status_when_finished() == 503
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert count_rows(service.ledger, "run_bodies") == 0
    assert partner.send(large()).status_code == 200


def test_supervisor_that_closes_ends_early_validations(service: Service, calls: Calls) -> None:
    async def start_and_stop() -> list[WorkerProcess]:
        supervisor = RunSupervisor(service, WorkerThreads())
        await supervisor.open(warm=False)
        disk = WaitingDisk(Allowance(MIB, MIB), Allowance(1, 1), None)
        upload = Upload(service.runs, "identity", service.settings, WaitingFile(disk, PARTNER))
        upload.write(large())
        supervisor.early_validations.notify(upload, PARTNER)
        await asyncio.to_thread(wait_until, lambda: calls.processes(VALIDATE))
        processes = [*supervisor._processes._all]
        await supervisor.close()
        upload.discard()
        return processes

    assert all(process.has_ended for process in asyncio.run(start_and_stop()))


@pytest.mark.parametrize(("operation", "needs_all"), [("Synchronize", True), ("Insert", False)])
def test_only_a_synchronize_needs_all_offers_early(operation: str, needs_all: bool) -> None:
    early = EarlyBatch(BodyBounds())
    early.feed(large(operation)[:-1])
    assert early.needs_all_offers == needs_all
    early.set_known(None)
    assert not early.needs_all_offers


def test_early_batch_that_lacks_bytes_is_not_used() -> None:
    early = EarlyBatch(BodyBounds())
    early.feed(b"{}")
    assert (early.end(3), early.whole) == (None, None)
    assert early.end(2) is early.whole is not None
