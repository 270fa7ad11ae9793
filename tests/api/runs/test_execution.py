"""An owner executes a run once, from its stored body, or fails it."""

import sys
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from api.bounds.body import BodyBounds
from api.intake.batch import read_request
from api.runs.execution import FAILED, RunFailed
from api.wiring import utc_now
from domain.access.partner import SetPartner
from domain.ledgers.ledger import StorageError
from domain.ledgers.run_ledger import RunLedger
from domain.offers.offer import Offer
from domain.refusals import LeaseLost, RunInProgress
from domain.runs.run import MAX_ATTEMPTS, OutcomeCounts, Run, RunState
from domain.store.cursor import Cursor
from domain.values import Channel, Clock
from projections.offers import decision_state
from tests.support import harness
from tests.support.examples import PARTNER, batch, body, item
from tests.support.harness import OPERATOR, execute_run
from tests.support.histories.runs import (
    LEASE,
    accepted_batch,
    accepted_run,
    count_rows,
    offer_topics,
    offer_versions,
    open_ledger,
    row_counts,
)
from tests.support.waiting import wait_until

MAX_ITEMS = 100
INSERT = batch("Insert", [item("TP-1"), item("TP-2")])


class KnownOffersHook:
    """The query for known offers, which first calls `before` once."""

    def __init__(self) -> None:
        self.before: Callable[[], object] | None = None

    def __call__(
        self, tx: Cursor, partner: str, channel: Channel, external_ids: Collection[str] | None
    ) -> dict[str, Offer]:
        before, self.before = self.before, None
        if before:
            before()
        return decision_state.known_offers(tx, partner, channel, external_ids)


@pytest.fixture
def known() -> KnownOffersHook:
    return KnownOffersHook()


@contextmanager
def two_owners(
    tmp_path: Path, clock: Clock, known: KnownOffersHook, lease: timedelta = LEASE
) -> Iterator[tuple[RunLedger, RunLedger]]:
    """Two owners on one database, like two processes. The first one reads known offers through `known`."""
    database = tmp_path / "two-owners.db"
    with open_ledger(database, clock, known) as one, open_ledger(database, clock) as other:
        yield RunLedger(one, "here", lease), RunLedger(other, "there", lease)


@pytest.fixture
def owners(tmp_path: Path, clock: harness.Clock, known: KnownOffersHook) -> Iterator[tuple[RunLedger, RunLedger]]:
    with two_owners(tmp_path, clock, known) as owners:
        yield owners


@pytest.fixture
def here(owners: tuple[RunLedger, RunLedger]) -> RunLedger:
    return owners[0]


@pytest.fixture
def there(owners: tuple[RunLedger, RunLedger]) -> RunLedger:
    return owners[1]


def execute_batch(runs: RunLedger, document: Mapping[str, Any], sent: bytes | None = None) -> Run:
    return execute_run(runs, accepted_batch(runs, document, sent))


def corrupt(runs: RunLedger, run: Run) -> None:
    with runs.ledger.recorder.write() as tx:
        tx.execute("UPDATE run_bodies SET bytes = x'00' WHERE run_id = ?", (str(run.run_id),))


# Execution


def test_run_is_executed_from_its_stored_body(here: RunLedger) -> None:
    run = accepted_batch(here, INSERT)
    finished = execute_run(here, run)
    assert here.find(run.run_id) == finished
    assert (finished.state, finished.counts) == (RunState.COMPLETED, OutcomeCounts(created=2))
    assert offer_versions(here.ledger) == {"TP-1": 1, "TP-2": 1}
    assert finished.request_digest


def test_run_of_many_chunks_is_executed_as_a_whole(here: RunLedger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("domain.store.records.run_bodies.CHUNK_BYTES", 7)
    assert execute_batch(here, INSERT).counts == OutcomeCounts(created=2)


def test_synchronize_pauses_offers_that_are_not_in_its_body(here: RunLedger) -> None:
    execute_batch(here, INSERT)
    finished = execute_batch(here, batch("Synchronize", [item("TP-2")]))
    assert finished.counts == OutcomeCounts(unchanged=1, paused=1)
    assert offer_topics(here.ledger) == ["OfferCreated", "OfferCreated", "OfferPaused"]


def test_messages_about_the_envelope_are_stored_with_the_run(here: RunLedger) -> None:
    assert execute_batch(here, INSERT | {"comment": 1}).messages == ["comment: ignored, not a member of a batch"]


def test_progress_is_reported_from_start_to_end(here: RunLedger) -> None:
    reports: list[tuple[int, int]] = []
    execute_run(here, accepted_batch(here, INSERT), lambda done, total: reports.append((done, total)))
    assert (reports[0], reports[-1]) == ((0, 2), (2, 2))


def test_released_run_is_executed_by_another_owner(here: RunLedger, there: RunLedger) -> None:
    run = accepted_batch(here, INSERT)
    here.release()
    finished = execute_run(there, there.claim(run.run_id))
    assert (finished.state, finished.lease.owner) == (RunState.COMPLETED, "there")


# Takeover


def test_run_that_is_taken_over_midway_is_stored_once(
    here: RunLedger, there: RunLedger, known: KnownOffersHook, clock: harness.Clock
) -> None:
    run = accepted_batch(here, INSERT)
    counts_after: list[dict[str, int]] = []

    def take_over() -> None:
        clock.move(seconds=LEASE.total_seconds())
        execute_run(there, there.claim(run.run_id))
        counts_after.append(row_counts(there.ledger))

    known.before = take_over
    with pytest.raises(LeaseLost):
        execute_run(here, run)
    assert [row_counts(here.ledger)] == counts_after
    assert offer_versions(here.ledger) == {"TP-1": 1, "TP-2": 1}
    stored_run = here.find(run.run_id)
    assert stored_run
    assert (stored_run.state, stored_run.lease.owner, stored_run.lease.fence) == (RunState.COMPLETED, "there", 2)


def test_error_of_a_former_owner_does_not_fail_the_run(
    here: RunLedger, there: RunLedger, known: KnownOffersHook, clock: harness.Clock
) -> None:
    run = accepted_batch(here, INSERT)

    def take_over_and_break() -> None:
        clock.move(seconds=LEASE.total_seconds())
        there.claim(run.run_id)
        raise RuntimeError

    known.before = take_over_and_break
    with pytest.raises(LeaseLost):
        execute_run(here, run)
    stored_run = there.find(run.run_id)
    assert stored_run
    assert (stored_run.state, stored_run.lease.owner) == (RunState.RUNNING, "there")
    assert execute_run(there, stored_run).state is RunState.COMPLETED


# Errors


def raise_error() -> None:
    raise RuntimeError("program error")


def test_program_error_fails_the_run(here: RunLedger, known: KnownOffersHook) -> None:
    run = accepted_batch(here, INSERT)
    before = row_counts(here.ledger)
    known.before = raise_error
    with pytest.raises(RunFailed) as failure:
        execute_run(here, run)
    assert failure.value.run_id == run.run_id
    assert "program error" in failure.value.report
    stored_run = here.find(run.run_id)
    assert stored_run
    assert (stored_run.state, stored_run.problem) == (RunState.FAILED, FAILED)
    assert (row_counts(here.ledger), count_rows(here.ledger, "run_bodies")) == (before, 0)


def test_corrupt_stored_body_fails_the_run(here: RunLedger) -> None:
    run = accepted_batch(here, INSERT)
    corrupt(here, run)
    with pytest.raises(RunFailed):
        execute_run(here, run)
    stored_run = here.find(run.run_id)
    assert stored_run
    assert (stored_run.state, stored_run.problem) == (RunState.FAILED, FAILED)


@pytest.mark.parametrize("depth", [500, sys.getrecursionlimit(), 20_000])
def test_deeply_nested_accepted_body_never_fails_the_run(here: RunLedger, depth: int) -> None:
    document = batch("Insert", [{"externalId": "TP-1", "offerData": "?"}])
    sent = body(document).replace(b'"?"', b'{"a":' * depth + b"1" + b"}" * depth)
    read_request(lambda: [sent], BodyBounds(max_items=1))
    assert execute_batch(here, document, sent).counts == OutcomeCounts(failed=1)


def test_failed_run_may_be_repeated_and_uses_no_slot(here: RunLedger) -> None:
    here.ledger.handle(SetPartner(PARTNER, insert_per_hour=1), OPERATOR)
    run = accepted_batch(here, INSERT)
    corrupt(here, run)
    with pytest.raises(RunFailed):
        execute_run(here, run)
    repeated = execute_batch(here, INSERT)
    assert repeated.run_id != run.run_id
    assert repeated.counts == OutcomeCounts(created=2)


def test_run_fails_after_the_last_attempt(here: RunLedger, clock: harness.Clock) -> None:
    run = accepted_batch(here, INSERT)
    for _ in range(MAX_ATTEMPTS + 1):
        clock.move(seconds=LEASE.total_seconds())
        run = here.claim(run.run_id)
    with pytest.raises(RunFailed):
        execute_run(here, run)
    stored_run = here.find(run.run_id)
    assert stored_run
    assert (stored_run.state, offer_versions(here.ledger)) == (RunState.FAILED, {})


def test_last_attempt_can_complete_the_run(here: RunLedger, clock: harness.Clock) -> None:
    run = accepted_batch(here, INSERT)
    for _ in range(MAX_ATTEMPTS):
        clock.move(seconds=LEASE.total_seconds())
        run = here.claim(run.run_id)
    assert execute_run(here, run).state is RunState.COMPLETED


def raise_storage_error() -> None:
    raise StorageError("the disk is full")


def test_unavailable_storage_leaves_the_run_for_another_owner(
    here: RunLedger, there: RunLedger, known: KnownOffersHook, clock: harness.Clock
) -> None:
    run = accepted_batch(here, INSERT)
    known.before = raise_storage_error
    with pytest.raises(StorageError):
        execute_run(here, run)
    assert here.find(run.run_id) == run
    with pytest.raises(RunInProgress):
        accepted_run(there)
    clock.move(seconds=LEASE.total_seconds())
    assert there.find_overdue() == [run]
    assert execute_run(there, there.claim(run.run_id)).counts == OutcomeCounts(created=2)


# The lease


def test_lease_is_renewed_during_the_work(tmp_path: Path, known: KnownOffersHook) -> None:
    with two_owners(tmp_path, utc_now, known, timedelta(seconds=1)) as (here, there):
        run = accepted_batch(here, INSERT)
        overdue: list[list[Run]] = []

        def take_long() -> None:
            deadline = time.monotonic() + 2.5
            while time.monotonic() < deadline:
                time.sleep(0.05)
                overdue.append(there.find_overdue())

        known.before = take_long
        assert execute_run(here, run).lease.fence == 1
        assert all(runs == [] for runs in overdue)


def test_lease_is_not_renewed_after_the_work(here: RunLedger, known: KnownOffersHook) -> None:
    known.before = raise_storage_error
    with pytest.raises(StorageError):
        execute_run(here, accepted_batch(here, INSERT))
    wait_until(lambda: all(thread.name != "lease" for thread in threading.enumerate()))
