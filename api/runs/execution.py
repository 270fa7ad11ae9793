"""How does an owner carry a run out? The same in the server, in its helper processes and on the command line."""

import traceback
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from http import HTTPStatus
from threading import Event, Thread
from typing import Any, assert_never
from uuid import UUID

from api.http.problems import Problem
from api.intake import offers_file
from api.intake.batch import validate_items
from api.parsing.array_splitter import Body
from domain.ledgers.ledger import StorageError, VersionConflict
from domain.ledgers.run_ledger import RunLedger
from domain.offers.offer import Offer
from domain.refusals import LeaseLost
from domain.runs.batch_reconciliation import reconcile
from domain.runs.file_reconciliation import reconcile_file
from domain.runs.plan import Plan
from domain.runs.run import MAX_ATTEMPTS, Batch, OffersFile, Progress, Run, RunProblem
from domain.values import Operation, PartnerSettings, ProgressCallback, no_progress

BEAT_SECONDS = 1.0
BEATS_PER_LEASE = 4
"""At least, however short it is."""
FAILED = RunProblem(
    "run-failed",
    "Run failed",
    HTTPStatus.INTERNAL_SERVER_ERROR,
    "The service could not carry the run out; nothing has been changed. The same request may be sent again.",
)


class RunFailed(Exception):
    """The run has been given up, by a fault of the service; `report` is for its operator."""

    def __init__(self, run_id: UUID, report: str) -> None:
        super().__init__(run_id, report)
        self.run_id, self.report = run_id, report


def execute(runs: RunLedger, run: Run, max_image_bytes: int, watch: ProgressCallback = no_progress) -> Run:
    """Carries out a run that this owner holds, and answers it as it ended.

    Raises RunNotYours if others have taken it over, StorageError if the ledger can't be used (then it stays as it was
    accepted, to be taken over), and RunFailed if it has been given up."""
    with _held(runs, run, watch) as telling:
        try:
            _require_attempts(run)
            match run.input:
                case Batch(operation=operation):
                    return _carry_out_batch(runs, run, operation, telling)
                case OffersFile():
                    return _carry_out_file(runs, run, run.input, max_image_bytes, telling)
                case _:
                    assert_never(run.input)
        except Exception as error:
            if isinstance(error, LeaseLost | StorageError) and not isinstance(error, VersionConflict):
                if isinstance(error, StorageError):
                    _forgive(runs, run)
                raise
            # Whatever it was, trying it again would not help.
            report = traceback.format_exc()
            runs.fail(run, FAILED)
            raise RunFailed(run.run_id, report) from None


def is_same_request(runs: RunLedger, earlier: Run, body: Body) -> bool:
    """Whether a body asks for what an earlier run was asked for, in other letters. Takes as long as judging both."""
    request_digest = validate_items(body).request_digest
    if not earlier.is_finished:
        try:
            return validate_items(partial(runs.body, earlier.run_id)).request_digest == request_digest
        except Problem:
            # Its body went while it was being read: the run has ended.
            earlier = runs.find(earlier.run_id) or earlier
    return earlier.request_digest == request_digest


def _forgive(runs: RunLedger, run: Run) -> None:
    with suppress(LeaseLost, StorageError):
        runs.refund_attempt(run)


def _require_attempts(run: Run) -> None:
    if run.attempts > MAX_ATTEMPTS:
        raise RuntimeError(f"begun {MAX_ATTEMPTS} times and never ended")


def _carry_out_batch(runs: RunLedger, run: Run, operation: Operation, watch: ProgressCallback) -> Run:
    known: dict[str, Offer] = {}

    def load(external_ids: list[str]) -> dict[str, Offer]:
        known.update(runs.known_offers(run, None if operation is Operation.SYNCHRONIZE else external_ids))
        return known

    judged = validate_items(partial(runs.body, run.run_id), load, watch)
    plan = reconcile(run.partner, operation, judged.items, known)
    plan.outcome.messages.extend(judged.remarks)
    return runs.complete(run, plan, judged.request_digest)


def _carry_out_file(runs: RunLedger, run: Run, file: OffersFile, max_image_bytes: int, watch: ProgressCallback) -> Run:
    body = partial(runs.body, run.run_id)
    judged = offers_file.validate_records(body, file, run, runs.known_offers(run), max_image_bytes, watch)

    def decide(known: Mapping[Any, Offer], changed_since: Collection[UUID], settings: PartnerSettings) -> Plan:
        plan = reconcile_file(run.partner, judged.records, known, changed_since, settings.missing_from_file)
        plan.outcome.messages.extend(judged.remarks)
        return plan

    return runs.decide_and_complete(run, decide, brings_images=judged.brings_images)


@contextmanager
def _held(runs: RunLedger, run: Run, watch: ProgressCallback) -> Iterator[ProgressCallback]:
    """Renews the lease for as long as the work goes on, and tells everybody by that how far it is: what is given is to be told,
    and tells `watch` too."""
    ended = Event()
    newest: Progress | None = None

    def tell(done: int, total: int) -> None:
        nonlocal newest
        newest = Progress(done, total)
        watch(done, total)

    def beat() -> None:
        while not ended.wait(min(BEAT_SECONDS, runs.lease.total_seconds() / BEATS_PER_LEASE)):
            try:
                runs.renew(run, newest)
            except LeaseLost:
                return
            except StorageError:
                continue

    Thread(target=beat, name="lease", daemon=True).start()
    try:
        yield tell
    finally:
        ended.set()
