"""Executes a run: in a server, in its worker processes, or on the command line."""

import traceback
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from http import HTTPStatus
from threading import Event, Thread
from typing import Any, assert_never
from uuid import UUID

from api.bounds.body import BodyBounds
from api.http.problems import Problem
from api.intake import offers_file
from api.intake.batch import validate_items
from api.intake.incoming_batch import IncomingBatch
from api.parsing.array_splitter import Body
from domain.ledgers.ledger import StorageError, VersionConflict
from domain.ledgers.run_ledger import EarlierOffers, RunLedger
from domain.ledgers.undo_ledger import execute_undo
from domain.offers.offer import Offer, without_content
from domain.refusals import LeaseLost
from domain.runs.batch_reconciliation import reconcile
from domain.runs.file_reconciliation import reconcile_file
from domain.runs.plan import Plan
from domain.runs.run import MAX_ATTEMPTS, Batch, OffersFile, Progress, Run, RunProblem, Undo
from domain.values import Operation, PartnerSettings, ProgressCallback, no_progress

RENEWAL_SECONDS = 1.0
MIN_RENEWALS_PER_LEASE = 4
"""A lease shorter than four seconds is renewed more often than once a second."""
FAILED = RunProblem(
    "run-failed",
    "Run failed",
    HTTPStatus.INTERNAL_SERVER_ERROR,
    "The service could not execute the run; nothing was changed. Repeat the same request.",
)


class RunFailed(Exception):
    """A fault of the service failed the run. `report` is the traceback for the operator."""

    def __init__(self, run_id: UUID, report: str) -> None:
        super().__init__(run_id, report)
        self.run_id, self.report = run_id, report


def execute(
    runs: RunLedger,
    run: Run,
    bounds: BodyBounds,
    report_progress: ProgressCallback = no_progress,
    incoming: IncomingBatch | None = None,
    known_before: EarlierOffers | None = None,
) -> Run:
    """Executes a run that this process owns, and returns the finished run.

    `incoming`: its batch, validated early. `known_before`: the partner's offers, read early.

    Raises LeaseLost if another process has taken over the run, and RunFailed after a fault of the service. Raises
    StorageError if the ledger is not available; the run then stays unfinished, and a process takes it over later."""
    with _renewed_lease(runs, run, report_progress) as progress:
        try:
            _require_attempts(run)
            match run.input:
                case Batch(operation=operation):
                    return _execute_batch(runs, run, operation, bounds, progress, incoming, known_before)
                case OffersFile():
                    return _execute_file(runs, run, run.input, bounds, progress)
                case Undo():
                    return execute_undo(runs, run, run.input, progress)
                case _:
                    assert_never(run.input)
        except Exception as error:
            if isinstance(error, LeaseLost | StorageError) and not isinstance(error, VersionConflict):
                if isinstance(error, StorageError):
                    _refund_attempt(runs, run)
                raise
            # A retry would fail in the same way.
            report = traceback.format_exc()
            runs.fail(run, FAILED)
            raise RunFailed(run.run_id, report) from None


def is_same_request(runs: RunLedger, earlier: Run, body: Body, bounds: BodyBounds) -> bool:
    """Returns True if a body means the same as the body of an earlier run. Takes as long as the validation of both."""
    request_digest = validate_items(body, bounds).request_digest
    if not earlier.is_finished:
        try:
            return validate_items(partial(runs.body, earlier.run_id), bounds).request_digest == request_digest
        except Problem:
            # The run finished meanwhile, and its body was deleted.
            earlier = runs.find(earlier.run_id) or earlier
    return earlier.request_digest == request_digest


def _refund_attempt(runs: RunLedger, run: Run) -> None:
    with suppress(LeaseLost, StorageError):
        runs.refund_attempt(run)


def _require_attempts(run: Run) -> None:
    if run.attempts > MAX_ATTEMPTS:
        raise RuntimeError(f"started {MAX_ATTEMPTS} times and never finished")


def _execute_batch(
    runs: RunLedger,
    run: Run,
    operation: Operation,
    bounds: BodyBounds,
    progress: ProgressCallback,
    incoming: IncomingBatch | None,
    known_before: EarlierOffers | None,
) -> Run:
    known: dict[str, Offer] = {}

    def load(external_ids: list[str]) -> dict[str, Offer]:
        nonlocal known
        known = runs.known_offers(run, None if operation is Operation.SYNCHRONIZE else external_ids, known_before)
        for external_id in known.keys() - set(external_ids):
            known[external_id] = without_content(known[external_id])
        return known

    validated = validate_items(partial(runs.body, run.run_id), bounds, load, progress, incoming)
    plan = reconcile(run.partner, operation, validated.items, known)
    plan.outcome.messages.extend(validated.remarks)
    request_digest = validated.request_digest
    del validated  # the events have what is left of the items
    known.clear()
    return runs.complete(run, plan, request_digest)


def _execute_file(runs: RunLedger, run: Run, file: OffersFile, bounds: BodyBounds, progress: ProgressCallback) -> Run:
    body = partial(runs.body, run.run_id)
    validated = offers_file.validate_records(body, file, run, runs.known_offers(run), bounds, progress)

    def decide(known: Mapping[Any, Offer], changed_since: Collection[UUID], settings: PartnerSettings) -> Plan:
        plan = reconcile_file(run.partner, validated.records, known, changed_since, settings.missing_from_file)
        plan.outcome.messages.extend(validated.remarks)
        return plan

    return runs.decide_and_complete(run, decide, brings_images=validated.brings_images)


@contextmanager
def _renewed_lease(runs: RunLedger, run: Run, report_progress: ProgressCallback) -> Iterator[ProgressCallback]:
    """Renews the lease in a thread until the work ends. Each renewal stores the newest progress, for all processes.

    Yields the function to which the work reports its progress; it also calls `report_progress`."""
    ended = Event()
    progress: Progress | None = None

    def set_progress(done: int, total: int) -> None:
        nonlocal progress
        progress = Progress(done, total)
        report_progress(done, total)

    def renew_lease() -> None:
        while not ended.wait(min(RENEWAL_SECONDS, runs.lease.total_seconds() / MIN_RENEWALS_PER_LEASE)):
            try:
                runs.renew(run, progress)
            except LeaseLost:
                return
            except StorageError:
                continue

    Thread(target=renew_lease, name="lease", daemon=True).start()
    try:
        yield set_progress
    finally:
        ended.set()
