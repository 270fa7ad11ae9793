"""Tests of RunLedger: acceptance, leases and completion of runs."""

from datetime import timedelta
from uuid import uuid4

import pytest

from domain.access.partner import SetPartner
from domain.ledgers.run_ledger import RunLedger
from domain.refusals import IdempotencyKeyReused, LeaseLost, RunInProgress, RunLimitReached, UnknownPartner
from domain.runs.run import OutcomeCounts, Run, RunState
from domain.store.records.run_outcomes import select_outcome
from domain.values import Channel, Operation
from tests.support.examples import PARTNER
from tests.support.harness import OPERATOR, Clock
from tests.support.histories.runs import (
    FEED,
    LEASE,
    PROBLEM,
    accepted_run,
    count_rows,
    file_request,
    offer_versions,
    plan,
    request,
    request_id_of,
    row_counts,
    run_ids,
    valid_item,
)


def complete(runs: RunLedger, run: Run, *external_ids: str) -> Run:
    items = [valid_item(external_id) for external_id in external_ids or ("TP-1",)]
    return runs.complete(run, plan(runs, run, items), "digest")


def taken_over(run: Run, by: RunLedger, clock: Clock) -> Run:
    clock.move(seconds=LEASE.total_seconds())
    return by.claim(run.run_id)


# Known offers


def test_offers_read_before_a_run_apply_until_the_next_commit(here: RunLedger) -> None:
    with here.ledger.read() as tx:
        before = here.all_offers(tx, PARTNER, Channel.CUSTOM)
    run = here.claim(accepted_run(here).run_id)
    assert here.known_offers(run, before=before) is before.offers
    complete(here, run)
    later = here.claim(accepted_run(here, b"later").run_id)
    assert here.known_offers(later, before=before) == here.known_offers(later) != before.offers


# Accepting


def test_accepted_run_can_be_found_at_once(here: RunLedger, there: RunLedger) -> None:
    run = accepted_run(here)
    assert there.find(run.run_id) == run
    assert (run.state, run.lease.owner, run.lease.fence) == (RunState.ACCEPTED, "here", 1)


def test_unknown_run_can_be_neither_found_nor_claimed(here: RunLedger) -> None:
    assert here.find(uuid4()) is None
    with pytest.raises(LeaseLost):
        here.claim(uuid4())


def test_refused_request_stores_nothing(here: RunLedger) -> None:
    unknown = request(partner="nobody")
    with pytest.raises(UnknownPartner):
        accepted_run(here, run_request=unknown)
    assert here.find(unknown.run_id) is None
    assert list(here.body(unknown.run_id)) == []


def test_repeated_request_returns_the_same_run(here: RunLedger, there: RunLedger) -> None:
    run = accepted_run(here, b"same")
    repeated = there.accept(request(b"same", request_id=request_id_of(run)), FEED)
    assert (repeated.run, repeated.replayed) == (run, True)
    assert count_rows(here.ledger, "runs") == 1


def test_equivalent_request_returns_the_same_run(here: RunLedger) -> None:
    run = accepted_run(here, b"one")
    equivalent = request(b"other", request_id=request_id_of(run), same_as=run.run_id)
    assert here.accept(equivalent, FEED).replayed


def test_request_id_can_not_be_used_for_another_request(here: RunLedger) -> None:
    run = accepted_run(here, b"one")
    with pytest.raises(IdempotencyKeyReused) as refused:
        accepted_run(here, b"other", request(b"other", request_id=request_id_of(run), same_as=uuid4()))
    assert refused.value.run_id == run.run_id


def test_repeated_request_returns_the_finished_run_for_ever(here: RunLedger, clock: Clock) -> None:
    run = accepted_run(here, b"same")
    completed = complete(here, run)
    clock.move(days=1000)
    repeated = here.accept(request(b"same", request_id=request_id_of(run)), FEED)
    assert (repeated.run, repeated.replayed) == (completed, True)


def test_partner_has_one_unfinished_run_on_a_channel(here: RunLedger, there: RunLedger) -> None:
    run = accepted_run(here)
    for runs in (here, there):
        with pytest.raises(RunInProgress) as refused:
            accepted_run(runs)
        assert refused.value.run_id == run.run_id


def test_other_partners_and_channels_can_have_simultaneous_runs(here: RunLedger) -> None:
    here.ledger.handle(SetPartner("harbor"), OPERATOR)
    accepted_run(here)
    accepted_run(here, run_request=request(partner="harbor"))
    assert not here.accept(file_request(), FEED).replayed


def test_next_run_can_start_after_the_previous_one(here: RunLedger) -> None:
    complete(here, accepted_run(here))
    assert accepted_run(here).state is RunState.ACCEPTED


# Leases


def test_run_can_be_taken_over_after_its_lease_expired(here: RunLedger, there: RunLedger, clock: Clock) -> None:
    run = accepted_run(here)
    clock.move(seconds=LEASE.total_seconds() - 1e-6)
    with pytest.raises(LeaseLost):
        there.claim(run.run_id)
    clock.move(seconds=1e-6)
    claimed = there.claim(run.run_id)
    assert (claimed.lease.owner, claimed.lease.fence, claimed.state) == ("there", 2, RunState.RUNNING)
    assert here.find(run.run_id) == claimed


def test_renewed_lease_lasts_its_full_duration(here: RunLedger, there: RunLedger, clock: Clock) -> None:
    run = accepted_run(here)
    clock.move(seconds=9)
    here.renew(run)
    clock.move(seconds=9)
    with pytest.raises(LeaseLost):
        there.claim(run.run_id)
    clock.move(seconds=1)
    assert there.claim(run.run_id).lease.fence == 2


def test_previous_owner_can_not_complete_a_run(here: RunLedger, there: RunLedger, clock: Clock) -> None:
    run = accepted_run(here, b"body")
    claimed = taken_over(run, there, clock)
    before = row_counts(here.ledger)
    with pytest.raises(LeaseLost):
        complete(here, run)
    assert row_counts(here.ledger) == before
    assert here.find(run.run_id) == claimed
    assert list(here.body(run.run_id)) == [b"body"]


def test_owner_can_renew_while_another_process_writes(here: RunLedger, there: RunLedger, clock: Clock) -> None:
    run = here.claim(accepted_run(here).run_id)
    with here.ledger.recorder.write():
        clock.move(seconds=9)
        here.renew(run)
        clock.move(seconds=9)
    assert there.find_overdue() == []
    with pytest.raises(LeaseLost):
        there.claim(run.run_id)


def test_previous_owner_can_not_renew_or_fail_a_run(here: RunLedger, there: RunLedger, clock: Clock) -> None:
    run = accepted_run(here, b"body")
    claimed = taken_over(run, there, clock)
    with pytest.raises(LeaseLost):
        here.renew(run)
    with pytest.raises(LeaseLost):
        here.fail(run, PROBLEM)
    assert here.find(run.run_id) == claimed
    assert list(here.body(run.run_id)) == [b"body"]


def test_earlier_lease_of_the_same_owner_is_invalid(here: RunLedger, clock: Clock) -> None:
    run = accepted_run(here)
    reclaimed = taken_over(run, here, clock)
    with pytest.raises(LeaseLost):
        complete(here, run)
    assert complete(here, reclaimed).state is RunState.COMPLETED


def test_owner_can_complete_with_an_expired_lease(here: RunLedger, clock: Clock) -> None:
    run = accepted_run(here)
    clock.move(days=1)
    assert complete(here, run).state is RunState.COMPLETED


def test_overdue_runs_are_unfinished_with_expired_leases(here: RunLedger, clock: Clock) -> None:
    for partner in ("harbor", "lagoon", "marina"):
        here.ledger.handle(SetPartner(partner), OPERATOR)
    complete(here, accepted_run(here))
    here.fail(accepted_run(here), PROBLEM)
    first, second = (accepted_run(here, run_request=request(partner=partner)) for partner in ("harbor", "lagoon"))
    clock.move(seconds=1)
    held = accepted_run(here, run_request=request(partner="marina"))
    assert here.find_overdue() == []
    clock.move(seconds=9)
    assert here.find_overdue() == [first, second]
    clock.move(seconds=1)
    assert here.find_overdue() == [first, second, held]


def test_claimed_or_renewed_run_is_not_overdue(here: RunLedger, there: RunLedger, clock: Clock) -> None:
    run = accepted_run(here)
    claimed = taken_over(run, there, clock)
    assert here.find_overdue() == []
    clock.move(seconds=9)
    there.renew(claimed)
    clock.move(seconds=9)
    assert here.find_overdue() == []


@pytest.mark.parametrize("ahead", [timedelta(microseconds=1), timedelta(minutes=5), timedelta(hours=3)])
def test_lease_of_a_clock_ahead_can_be_taken_over(
    here: RunLedger, there: RunLedger, clock: Clock, ahead: timedelta
) -> None:
    clock.now += ahead
    run = here.claim(accepted_run(here).run_id)
    here.renew(run)
    clock.now -= ahead
    assert there.find_overdue() == [run]
    assert there.claim(run.run_id).lease.fence > run.lease.fence


def test_owner_keeps_its_run_after_the_clock_is_right(here: RunLedger, there: RunLedger, clock: Clock) -> None:
    clock.move(hours=2)
    run = here.claim(accepted_run(here).run_id)
    clock.move(hours=-2)
    here.renew(run)
    assert there.find_overdue() == []
    with pytest.raises(LeaseLost):
        there.claim(run.run_id)


def test_released_runs_can_be_taken_over_at_once(here: RunLedger, there: RunLedger) -> None:
    here.ledger.handle(SetPartner("harbor"), OPERATOR)
    mine, theirs = accepted_run(here), accepted_run(there, run_request=request(partner="harbor"))
    here.release()
    assert run_ids(there.find_overdue()) == [mine.run_id]
    assert there.claim(mine.run_id).lease.fence > mine.lease.fence
    with pytest.raises(LeaseLost):
        here.claim(theirs.run_id)


def test_released_lease_can_not_be_renewed(here: RunLedger) -> None:
    mine = accepted_run(here)
    here.release()
    with pytest.raises(LeaseLost):
        here.renew(mine)


def test_release_keeps_finished_runs(here: RunLedger) -> None:
    completed = complete(here, accepted_run(here))
    here.release()
    assert here.find(completed.run_id) == completed


# Completion


def test_completed_run_has_stored_events_outcome_and_state(here: RunLedger, there: RunLedger) -> None:
    run = accepted_run(here, b"body")
    completed = complete(here, run, "TP-1", "TP-2")
    assert there.find(run.run_id) == completed
    assert (completed.state, completed.counts) == (RunState.COMPLETED, OutcomeCounts(created=2))
    assert completed.position == here.ledger.recorder.max_notification_id()
    assert offer_versions(here.ledger) == {"TP-1": 1, "TP-2": 1}
    with here.ledger.recorder.read() as tx:
        parts = [(part.outcome, part.item_count) for part in select_outcome(tx, run.run_id)]
        commit = tx.execute("SELECT * FROM commits ORDER BY commit_id DESC").fetchone()
    assert parts == [("created", 2)]
    assert (commit["run_id"], commit["event_count"], commit["actor"]) == (str(run.run_id), 2, "tide-feed")


@pytest.mark.parametrize("state", [RunState.COMPLETED, RunState.FAILED])
def test_finished_run_has_no_body(here: RunLedger, state: RunState) -> None:
    run = accepted_run(here, b"body")
    complete(here, run) if state is RunState.COMPLETED else here.fail(run, PROBLEM)
    assert list(here.body(run.run_id)) == []
    assert count_rows(here.ledger, "run_bodies") == 0


def test_run_completes_only_once(here: RunLedger) -> None:
    run = accepted_run(here)
    completed = complete(here, run)
    before = row_counts(here.ledger)
    for version in (run, completed):
        with pytest.raises(LeaseLost):
            complete(here, version, "TP-2")
        with pytest.raises(LeaseLost):
            here.fail(version, PROBLEM)
    assert row_counts(here.ledger) == before
    assert here.find(run.run_id) == completed


def test_failed_run_has_a_problem_and_changed_nothing(here: RunLedger) -> None:
    run = accepted_run(here)
    before = row_counts(here.ledger)
    failed = here.fail(run, PROBLEM)
    assert (failed.state, failed.problem, here.find(run.run_id)) == (RunState.FAILED, PROBLEM, failed)
    assert row_counts(here.ledger) == before
    with pytest.raises(LeaseLost):
        complete(here, run)


def test_failed_run_frees_its_request_id_and_slot(here: RunLedger) -> None:
    here.ledger.handle(SetPartner(PARTNER, synchronize_per_day=1), OPERATOR)
    first = accepted_run(here, b"body", request(b"body", Operation.SYNCHRONIZE))
    here.fail(first, PROBLEM)
    repeated = request(b"body", Operation.SYNCHRONIZE, request_id_of(first))
    second = accepted_run(here, b"body", repeated)
    assert (second.run_id, second.state) == (repeated.run_id, RunState.ACCEPTED)
    complete(here, second)
    with pytest.raises(RunLimitReached):
        accepted_run(here, run_request=request(b"more", Operation.SYNCHRONIZE))
