"""The supervisor of runs, when worker processes die or the storage fails."""

import asyncio
import logging
import os
import pickle
import signal
import time
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from types import SimpleNamespace
from uuid import UUID, uuid4

import pytest

from api.dependencies.waiting_bodies import SMALL_UPLOAD_BYTES
from api.http.problems import Problem, validation_error
from api.runs import batch_process
from api.runs.batch_process import WorkerContext
from api.runs.execution import RunFailed
from api.runs.supervisor import RunSupervisor
from api.server.worker_threads import WorkerThreads
from api.service import Service
from api.validation.field_errors import InvalidField
from domain.ledgers.ledger import StorageError
from domain.ledgers.run_ledger import RunLedger
from domain.refusals import (
    DailyQuotaExceeded,
    FileDatedAhead,
    FileOfAnotherPartner,
    FileSuperseded,
    FlightConflict,
    FlightInThePast,
    HoldEndsInThePast,
    IdempotencyKeyReused,
    LeaseLost,
    NothingToUndo,
    OfferNotActivatable,
    OfferOfOtherMerchant,
    OfferOnHold,
    PreconditionFailed,
    RateLimitExceeded,
    Refused,
    ReversalExceedsRedemption,
    ReversalReused,
    RunInProgress,
    RunLimitReached,
    TimeInFuture,
    TokenNameTaken,
    TooManyFlights,
    TooManyReversals,
    TransactionReused,
    UnknownOffer,
    UnknownPartner,
    UnknownRedemption,
    UnknownRun,
    UnknownToken,
    WindowDaysOutOfBounds,
)
from domain.runs.run import Run
from domain.values import Operation
from tests.support.calls.stalled_runs import accept_elsewhere, other_owner
from tests.support.examples import batch, body, item
from tests.support.harness import Caller
from tests.support.waiting import wait_until

RUN_ID = uuid4()


def fail_once(monkeypatch: pytest.MonkeyPatch, method: str, error: Exception) -> None:
    """Makes the next call of this method fail, on any RunLedger."""
    real = getattr(RunLedger, method)

    def failing(*_: object) -> object:
        monkeypatch.setattr(RunLedger, method, real)
        raise error

    monkeypatch.setattr(RunLedger, method, failing)


def die(_: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def raise_storage_error(_: object) -> None:
    raise StorageError("gone")


@pytest.mark.parametrize("warm_up", [die, raise_storage_error])
def test_server_starts_if_its_first_worker_process_fails(
    service: Service, monkeypatch: pytest.MonkeyPatch, warm_up: Callable[[object], None]
) -> None:
    monkeypatch.setattr(batch_process, "warm_up", warm_up)

    async def start_and_stop() -> None:
        supervisor = RunSupervisor(service, WorkerThreads())
        await supervisor.open(warm=True)
        await supervisor.close()

    asyncio.run(start_and_stop())


def execute_late(context: WorkerContext, run_id: UUID) -> Run:
    time.sleep(3)
    return batch_process.execute_in_worker(context, run_id)


def test_worker_process_that_starts_slowly_is_not_replaced(
    partner: Caller, service: Service, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    large = batch("Insert", [item(f"TP-{number}", offerDetails="Noodles. " * 300) for number in range(400)])
    run = accept_elsewhere(service, large)
    other_owner(service).claim(run.run_id)
    assert run.body_bytes > SMALL_UPLOAD_BYTES
    monkeypatch.setattr("api.runs.supervisor.batch_process", SimpleNamespace(execute_in_worker=execute_late))
    service.clock.move(hours=1)  # type: ignore[attr-defined]
    wait_until(lambda: partner.get(f"/api/v1/runs/{run.run_id}").json()["state"] == "completed")
    assert "is replaced" not in caplog.text
    with service.ledger.recorder.read() as tx:
        assert tx.execute("SELECT attempts FROM runs").fetchone()["attempts"] == 2


@pytest.mark.parametrize("error", [ValueError("odd"), StorageError("gone")], ids=["program", "storage"])
def test_supervision_of_runs_continues_after_an_error(
    partner: Caller, service: Service, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    fail_once(monkeypatch, "find_overdue", error)
    run = accept_elsewhere(service, batch("Insert", [item()]))
    service.clock.move(hours=1)  # type: ignore[attr-defined]
    wait_until(lambda: partner.get(f"/api/v1/runs/{run.run_id}").json()["state"] == "completed")


def test_accepted_run_is_answered_if_its_state_cannot_be_read(
    partner: Caller, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    fail_once(monkeypatch, "find", StorageError("gone"))
    sent = body(batch("Insert", [item()]))
    with caplog.at_level(logging.WARNING):
        reply = partner.send(sent)
    assert (reply.status_code, reply.json()["responseType"]) == (202, "Accepted")
    wait_until(lambda: partner.get(reply.headers["Location"]).json()["state"] == "completed")
    assert partner.send(sent).headers["Idempotency-Replayed"] == "true"


@pytest.mark.parametrize(
    "error",
    [
        IdempotencyKeyReused(RUN_ID),
        RunLimitReached(Operation.INSERT, 1, "hour", 7),
        RunInProgress(RUN_ID),
        FileSuperseded(date(2026, 11, 21), date(2026, 11, 22)),
        FileDatedAhead(2),
        FileOfAnotherPartner(),
        LeaseLost(RUN_ID),
        WindowDaysOutOfBounds(30, 45),
        TimeInFuture("activatedAt"),
        UnknownOffer(),
        OfferNotActivatable("was not active"),
        OfferOnHold(),
        HoldEndsInThePast(),
        FlightConflict(),
        FlightInThePast(),
        UnknownRedemption(),
        TooManyFlights(500),
        TooManyReversals(1000),
        UnknownRun(),
        NothingToUndo("the run has changed no offer"),
        TransactionReused(),
        ReversalReused(),
        ReversalExceedsRedemption(Decimal("2.50"), "USD"),
        UnknownPartner("nobody"),
        TokenNameTaken("feed"),
        UnknownToken("feed"),
        PreconditionFailed(3),
        OfferOfOtherMerchant(),
        RateLimitExceeded(10, 1),
        DailyQuotaExceeded(1000, 3600),
        RunFailed(RUN_ID, "why"),
        StorageError("gone"),
        validation_error([InvalidField(("offers", 0), "required")]),
    ],
    ids=lambda error: type(error).__name__,
)
def test_refusal_is_the_same_after_it_left_its_process(error: Exception) -> None:
    received = pickle.loads(pickle.dumps(error))  # noqa: S301 - the data comes from this test
    assert (type(received), str(received), received.__dict__) == (type(error), str(error), error.__dict__)


def test_every_kind_of_refusal_is_pickled_here() -> None:
    assert {kind.__name__ for kind in Refused.__subclasses__()} == {
        "IdempotencyKeyReused",
        "RunLimitReached",
        "RunInProgress",
        "FileSuperseded",
        "FileDatedAhead",
        "FileOfAnotherPartner",
        "LeaseLost",
        "WindowDaysOutOfBounds",
        "TimeInFuture",
        "UnknownOffer",
        "OfferNotActivatable",
        "OfferOnHold",
        "HoldEndsInThePast",
        "FlightConflict",
        "FlightInThePast",
        "UnknownRedemption",
        "TooManyFlights",
        "TooManyReversals",
        "UnknownRun",
        "NothingToUndo",
        "TransactionReused",
        "ReversalReused",
        "ReversalExceedsRedemption",
        "UnknownPartner",
        "TokenNameTaken",
        "UnknownToken",
        "PreconditionFailed",
        "OfferOfOtherMerchant",
        "RateLimitExceeded",
        "DailyQuotaExceeded",
    }
    assert not issubclass(Problem, Refused)
