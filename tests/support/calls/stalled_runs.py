"""Runs that the server doesn't finish, or not soon: another owner holds them, or the ledger stands in the way."""

import hashlib
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

from api.runs.execution import FAILED
from api.service import Service
from domain.ledgers.run_ledger import RunLedger
from domain.runs.run import Batch, Run, RunRequest
from domain.store.records.compression import pack
from domain.values import Operation, Origin, Source
from tests.support.examples import PARTNER, body
from tests.support.harness import Caller

LEASE_SECONDS = 10
PATIENCE_SECONDS = 60.0
SLOW_STEPS = 9_000_000


def other_owner(service: Service) -> RunLedger:
    """Another process, as far as the ledger can tell."""
    return RunLedger(service.ledger, "another process", timedelta(seconds=LEASE_SECONDS))


def accept_elsewhere(service: Service, document: Mapping[str, Any], partner: str = PARTNER) -> Run:
    """Makes a batch a run that another owner holds; it stays unfinished while the clock stands still."""
    sent = body(document)
    request = RunRequest(
        run_id=uuid4(),
        partner=partner,
        input=Batch(Operation(document["operation"]), UUID(document["concurrencyRequestId"])),
        body_digest=hashlib.sha256(sent).hexdigest(),
        body_bytes=len(sent),
    )
    origin = Origin("erin", Source.CUSTOM)
    return other_owner(service).accept(request, origin, [pack(sent)]).run


def fail_elsewhere(service: Service, run: Run) -> Run:
    """Its owner gives the run up."""
    return other_owner(service).fail(run, FAILED)


@contextmanager
def obstructed(service: Service) -> Iterator[None]:
    """Runs are accepted, but can't be finished: their outcomes have no place."""
    _execute(service, "ALTER TABLE run_outcomes RENAME TO mislaid")
    yield
    _execute(service, "ALTER TABLE mislaid RENAME TO run_outcomes")


@contextmanager
def slowed(service: Service) -> Iterator[None]:
    """Runs take some two seconds to store their outcomes; ends when the one at work has ended."""
    counting = f"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {SLOW_STEPS}) SELECT i FROM n"
    slow = f"CREATE TRIGGER slow BEFORE INSERT ON run_outcomes BEGIN SELECT count(*) FROM ({counting}); END"
    _execute(service, slow)
    yield
    _execute(service, "DROP TRIGGER slow")


def _execute(service: Service, statement: str) -> None:
    with service.ledger.recorder.write() as tx:
        tx.execute(statement)


def run_path(run_id: object) -> str:
    return f"/api/v1/runs/{run_id}"


def wait_until_finished(caller: Caller, path: str) -> dict[str, Any]:
    """Polls a run until it has ended."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        run: dict[str, Any] = caller.get(path).json()
        if run["state"] not in {"accepted", "running"}:
            return run
        time.sleep(0.02)
    raise AssertionError(run)
