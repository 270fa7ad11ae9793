"""Runs that stay unfinished: another process owns them, or their outcomes cannot be stored, or only slowly."""

import hashlib
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from api.runs.execution import FAILED
from api.service import Service
from domain.ledgers.run_ledger import RunLedger
from domain.runs.run import Batch, Run, RunRequest
from domain.store.records.compression import compress
from domain.values import Operation, Origin, Source
from tests.support.examples import PARTNER, body
from tests.support.harness import Caller
from tests.support.waiting import wait_until

LEASE_SECONDS = 10
SLOW_SECONDS = 2


def other_owner(service: Service) -> RunLedger:
    """Returns a run ledger with another owner name, as if it belonged to another process."""
    return RunLedger(service.ledger, "another process", timedelta(seconds=service.settings.lease_seconds))


def accept_elsewhere(service: Service, document: Mapping[str, Any], partner: str = PARTNER) -> Run:
    """Accepts a batch as a run of another process. It stays unfinished as long as the test does not move the clock."""
    sent = body(document)
    request = RunRequest(
        run_id=uuid4(),
        partner=partner,
        input=Batch(Operation(document["operation"]), UUID(document["concurrencyRequestId"])),
        body_digest=hashlib.sha256(sent).hexdigest(),
        body_bytes=len(sent),
    )
    origin = Origin("erin", Source.CUSTOM)
    return other_owner(service).accept(request, origin, [compress(sent)]).run


def fail_elsewhere(service: Service, run: Run) -> Run:
    """Ends the run as failed, as its owner."""
    return other_owner(service).fail(run, FAILED)


@contextmanager
def blocked_runs(service: Service) -> Iterator[None]:
    """Lets runs be accepted but not finish: the table of their outcomes is missing."""
    _execute(service, "ALTER TABLE run_outcomes RENAME TO mislaid")
    yield
    _execute(service, "ALTER TABLE mislaid RENAME TO run_outcomes")


@contextmanager
def slow_runs() -> Iterator[None]:
    """Delays the end of each small run by two seconds. The block ends when no run is delayed."""
    complete, delayed = RunLedger.complete, threading.Semaphore(0)

    def complete_late(*arguments: Any, **options: Any) -> Run:
        delayed.release()
        try:
            time.sleep(SLOW_SECONDS)
            return complete(*arguments, **options)
        finally:
            delayed.acquire()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(RunLedger, "complete", complete_late)
        yield
        wait_until(lambda: delayed._value == 0)


def _execute(service: Service, statement: str) -> None:
    with service.ledger.recorder.write() as tx:
        tx.execute(statement)


def run_path(run_id: object) -> str:
    return f"/api/v1/runs/{run_id}"


def wait_until_finished(caller: Caller, path: str) -> dict[str, Any]:
    """Polls a run until it has finished."""

    def finished() -> dict[str, Any] | None:
        run: dict[str, Any] = caller.get(path).json()
        return None if run["state"] in {"accepted", "running"} else run

    run = wait_until(finished)
    assert run
    return run
