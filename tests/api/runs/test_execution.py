"""An owner carries a run out from its stored body, once, or gives it up for good."""

import sys
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from api.http.problems import Problem
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

MAX_ITEMS = 100
INSERT = batch("Insert", [item("TP-1"), item("TP-2")])


class Known:
    """The real answer to what is known of offers, after something else has happened."""

    def __init__(self) -> None:
        self.first: Callable[[], object] | None = None

    def __call__(
        self, tx: Cursor, partner: str, channel: Channel, external_ids: Collection[str] | None
    ) -> Mapping[str, Offer]:
        happens, self.first = self.first, None
        if happens:
            happens()
        return decision_state.known_offers(tx, partner, channel, external_ids)


@pytest.fixture
def known() -> Known:
    return Known()


@contextmanager
def two_owners(
    tmp_path: Path, clock: Clock, known: Known, lease: timedelta = LEASE
) -> Iterator[tuple[RunLedger, RunLedger]]:
    """Two processes on one file, as it were; the first one knows offers by `known`."""
    database = tmp_path / "two-owners.db"
    with open_ledger(database, clock, known) as one, open_ledger(database, clock) as other:
        yield RunLedger(one, "here", lease), RunLedger(other, "there", lease)


@pytest.fixture
def owners(tmp_path: Path, clock: harness.Clock, known: Known) -> Iterator[tuple[RunLedger, RunLedger]]:
    with two_owners(tmp_path, clock, known) as owners:
        yield owners


@pytest.fixture
def here(owners: tuple[RunLedger, RunLedger]) -> RunLedger:
    return owners[0]


@pytest.fixture
def there(owners: tuple[RunLedger, RunLedger]) -> RunLedger:
    return owners[1]


def carried_out(runs: RunLedger, document: Mapping[str, Any], sent: bytes | None = None) -> Run:
    return execute_run(runs, accepted_batch(runs, document, sent))


def corrupt(runs: RunLedger, run: Run) -> None:
    with runs.ledger.recorder.write() as tx:
        tx.execute("UPDATE run_bodies SET bytes = x'00' WHERE run_id = ?", (str(run.run_id),))


# The work


def test_a_run_is_carried_out_from_its_stored_body(here: RunLedger) -> None:
    run = accepted_batch(here, INSERT)
    ended = execute_run(here, run)
    assert here.find(run.run_id) == ended
    assert (ended.state, ended.counts) == (RunState.COMPLETED, OutcomeCounts(created=2))
    assert offer_versions(here.ledger) == {"TP-1": 1, "TP-2": 1}
    assert ended.request_digest


def test_a_run_of_many_chunks_is_carried_out_as_a_whole(here: RunLedger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("domain.store.records.run_bodies.CHUNK_BYTES", 7)
    assert carried_out(here, INSERT).counts == OutcomeCounts(created=2)


def test_a_synchronize_pauses_what_its_body_does_not_name(here: RunLedger) -> None:
    carried_out(here, INSERT)
    ended = carried_out(here, batch("Synchronize", [item("TP-2")]))
    assert ended.counts == OutcomeCounts(unchanged=1, paused=1)
    assert offer_topics(here.ledger) == ["OfferCreated", "OfferCreated", "OfferPaused"]


def test_remarks_on_the_envelope_are_kept_with_the_run(here: RunLedger) -> None:
    assert carried_out(here, INSERT | {"comment": 1}).messages == ["comment: ignored, not a member of a batch"]


def test_who_watches_is_told_how_far_the_work_is(here: RunLedger) -> None:
    seen: list[tuple[int, int]] = []
    execute_run(here, accepted_batch(here, INSERT), lambda done, total: seen.append((done, total)))
    assert (seen[0], seen[-1]) == ((0, 2), (2, 2))


def test_a_run_that_was_claimed_from_another_owner_is_carried_out_like_any_other(
    here: RunLedger, there: RunLedger
) -> None:
    run = accepted_batch(here, INSERT)
    here.release()
    ended = execute_run(there, there.claim(run.run_id))
    assert (ended.state, ended.lease.owner) == (RunState.COMPLETED, "there")


# Other hands


def test_a_run_that_is_taken_over_midway_leaves_everything_once(
    here: RunLedger, there: RunLedger, known: Known, clock: harness.Clock
) -> None:
    run = accepted_batch(here, INSERT)
    left: list[dict[str, int]] = []

    def take_over() -> None:
        clock.move(seconds=LEASE.total_seconds())
        execute_run(there, there.claim(run.run_id))
        left.append(row_counts(there.ledger))

    known.first = take_over
    with pytest.raises(LeaseLost):
        execute_run(here, run)
    assert [row_counts(here.ledger)] == left
    assert offer_versions(here.ledger) == {"TP-1": 1, "TP-2": 1}
    found = here.find(run.run_id)
    assert found
    assert (found.state, found.lease.owner, found.lease.fence) == (RunState.COMPLETED, "there", 2)


def test_a_fault_of_a_former_owner_does_not_end_the_run_of_the_present_one(
    here: RunLedger, there: RunLedger, known: Known, clock: harness.Clock
) -> None:
    run = accepted_batch(here, INSERT)

    def take_over_and_break() -> None:
        clock.move(seconds=LEASE.total_seconds())
        there.claim(run.run_id)
        raise RuntimeError

    known.first = take_over_and_break
    with pytest.raises(LeaseLost):
        execute_run(here, run)
    found = there.find(run.run_id)
    assert found
    assert (found.state, found.lease.owner) == (RunState.RUNNING, "there")
    assert execute_run(there, found).state is RunState.COMPLETED


# Faults


def break_down() -> None:
    raise RuntimeError("a pipe has burst")


def test_a_fault_in_the_work_ends_the_run_as_failed(here: RunLedger, known: Known) -> None:
    run = accepted_batch(here, INSERT)
    before = row_counts(here.ledger)
    known.first = break_down
    with pytest.raises(RunFailed) as failure:
        execute_run(here, run)
    assert failure.value.run_id == run.run_id
    assert "a pipe has burst" in failure.value.report
    found = here.find(run.run_id)
    assert found
    assert (found.state, found.problem) == (RunState.FAILED, FAILED)
    assert (row_counts(here.ledger), count_rows(here.ledger, "run_bodies")) == (before, 0)


def test_a_stored_body_that_can_not_be_unpacked_any_more_ends_the_run_as_failed(here: RunLedger) -> None:
    run = accepted_batch(here, INSERT)
    corrupt(here, run)
    with pytest.raises(RunFailed):
        execute_run(here, run)
    found = here.find(run.run_id)
    assert found
    assert (found.state, found.problem) == (RunState.FAILED, FAILED)


def test_a_body_that_was_accepted_is_never_a_fault_of_the_service_however_deeply_it_nests(here: RunLedger) -> None:
    deepest, accepted_count = sys.getrecursionlimit(), 0
    for depth in range(deepest - 400, deepest):
        document = batch("Insert", [{"externalId": "TP-1", "offerData": "?"}])
        sent = body(document).replace(b'"?"', b'{"a":' * depth + b"1" + b"}" * depth)
        try:
            read_request(lambda sent=sent: [sent], 1)  # type: ignore[misc]
        except Problem:
            continue
        assert carried_out(here, document, sent).counts == OutcomeCounts(failed=1)
        accepted_count += 1
    assert accepted_count


def test_a_failed_run_may_be_sent_again_with_the_same_id_and_uses_no_slot(here: RunLedger) -> None:
    here.ledger.handle(SetPartner(PARTNER, insert_per_hour=1), OPERATOR)
    run = accepted_batch(here, INSERT)
    corrupt(here, run)
    with pytest.raises(RunFailed):
        execute_run(here, run)
    again = carried_out(here, INSERT)
    assert again.run_id != run.run_id
    assert again.counts == OutcomeCounts(created=2)


def test_a_run_may_be_begun_so_many_times_and_no_more(here: RunLedger, clock: harness.Clock) -> None:
    run = accepted_batch(here, INSERT)
    for _ in range(MAX_ATTEMPTS + 1):
        clock.move(seconds=LEASE.total_seconds())
        run = here.claim(run.run_id)
    with pytest.raises(RunFailed):
        execute_run(here, run)
    found = here.find(run.run_id)
    assert found
    assert (found.state, offer_versions(here.ledger)) == (RunState.FAILED, {})


def test_the_last_attempt_is_carried_out_like_the_first(here: RunLedger, clock: harness.Clock) -> None:
    run = accepted_batch(here, INSERT)
    for _ in range(MAX_ATTEMPTS):
        clock.move(seconds=LEASE.total_seconds())
        run = here.claim(run.run_id)
    assert execute_run(here, run).state is RunState.COMPLETED


def fail_to_store() -> None:
    raise StorageError("the disk is full")


def test_a_ledger_that_can_not_be_used_leaves_the_run_to_be_taken_over(
    here: RunLedger, there: RunLedger, known: Known, clock: harness.Clock
) -> None:
    run = accepted_batch(here, INSERT)
    known.first = fail_to_store
    with pytest.raises(StorageError):
        execute_run(here, run)
    assert here.find(run.run_id) == run
    with pytest.raises(RunInProgress):
        accepted_run(there)
    clock.move(seconds=LEASE.total_seconds())
    assert there.find_overdue() == [run]
    assert execute_run(there, there.claim(run.run_id)).counts == OutcomeCounts(created=2)


# The lease


def test_the_lease_is_renewed_while_the_work_goes_on(tmp_path: Path, known: Known) -> None:
    with two_owners(tmp_path, utc_now, known, timedelta(seconds=1)) as (here, there):
        run = accepted_batch(here, INSERT)
        seen: list[list[Run]] = []

        def take_long() -> None:
            deadline = time.monotonic() + 2.5
            while time.monotonic() < deadline:
                time.sleep(0.05)
                seen.append(there.find_overdue())

        known.first = take_long
        assert execute_run(here, run).lease.fence == 1
        assert all(overdue == [] for overdue in seen)


def test_nobody_renews_a_lease_after_the_work(here: RunLedger, known: Known) -> None:
    known.first = fail_to_store
    with pytest.raises(StorageError):
        execute_run(here, accepted_batch(here, INSERT))
    deadline = time.monotonic() + 5
    while any(thread.name == "lease" for thread in threading.enumerate()) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert [thread for thread in threading.enumerate() if thread.name == "lease"] == []
