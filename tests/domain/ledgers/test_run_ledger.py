"""A run is accepted once, is in one owner's hands at a time, and ends once."""

from uuid import uuid4

import pytest

from domain.access.partner import SetPartner
from domain.ledgers.run_ledger import RunLedger
from domain.refusals import IdempotencyKeyReused, LeaseLost, RunInProgress, RunLimitReached, UnknownPartner
from domain.runs.run import OutcomeCounts, Run, RunState
from domain.store.records.run_outcomes import select_outcome
from domain.values import Operation
from tests.support.examples import PARTNER
from tests.support.harness import OPERATOR, Clock
from tests.support.histories.runs import (
    FEED,
    LEASE,
    PROBLEM,
    accepted,
    effects,
    file_request,
    ids,
    offer_versions,
    plan,
    request,
    request_id_of,
    rows,
    valid,
)


def carry_out(runs: RunLedger, run: Run, *external_ids: str) -> Run:
    items = [valid(external_id) for external_id in external_ids or ("TP-1",)]
    return runs.complete(run, plan(runs, run, items), "digest")


def taken_over(run: Run, by: RunLedger, clock: Clock) -> Run:
    clock.move(seconds=LEASE.total_seconds())
    return by.claim(run.run_id)


# Accepting


def test_an_accepted_run_is_there_at_once(here: RunLedger, there: RunLedger) -> None:
    run = accepted(here)
    assert there.find(run.run_id) == run
    assert (run.state, run.lease.owner, run.lease.fence) == (RunState.ACCEPTED, "here", 1)


def test_a_run_that_was_never_accepted_is_not_there(here: RunLedger) -> None:
    assert here.find(uuid4()) is None
    with pytest.raises(LeaseLost):
        here.claim(uuid4())


def test_nothing_of_a_refused_request_is_there(here: RunLedger) -> None:
    unknown = request(partner="nobody")
    with pytest.raises(UnknownPartner):
        accepted(here, asked=unknown)
    assert here.find(unknown.run_id) is None
    assert list(here.body(unknown.run_id)) == []


def test_the_same_body_under_the_same_id_is_the_same_run(here: RunLedger, there: RunLedger) -> None:
    run = accepted(here, b"same")
    again = there.accept(request(b"same", request_id=request_id_of(run)), FEED)
    assert (again.run, again.replayed) == (run, True)
    assert rows(here.ledger, "runs") == 1


def test_the_same_request_in_other_letters_is_the_same_run(here: RunLedger) -> None:
    run = accepted(here, b"one")
    respelt = request(b"other", request_id=request_id_of(run), same_as=run.run_id)
    assert here.accept(respelt, FEED).replayed


def test_a_request_id_can_not_be_used_for_something_else(here: RunLedger) -> None:
    run = accepted(here, b"one")
    with pytest.raises(IdempotencyKeyReused) as refused:
        accepted(here, b"other", request(b"other", request_id=request_id_of(run), same_as=uuid4()))
    assert refused.value.run_id == run.run_id


def test_a_finished_run_is_answered_to_the_same_request_for_ever(here: RunLedger, clock: Clock) -> None:
    run = accepted(here, b"same")
    completed = carry_out(here, run)
    clock.move(days=1000)
    again = here.accept(request(b"same", request_id=request_id_of(run)), FEED)
    assert (again.run, again.replayed) == (completed, True)


def test_a_partner_has_one_unfinished_run_on_a_channel(here: RunLedger, there: RunLedger) -> None:
    run = accepted(here)
    for runs in (here, there):
        with pytest.raises(RunInProgress) as refused:
            accepted(runs)
        assert refused.value.run_id == run.run_id


def test_another_partner_or_another_channel_may_have_a_run_at_the_same_time(here: RunLedger) -> None:
    here.ledger.handle(SetPartner("harbor"), OPERATOR)
    accepted(here)
    accepted(here, asked=request(partner="harbor"))
    assert not here.accept(file_request(), FEED).replayed


def test_the_next_run_may_start_when_the_one_before_has_ended(here: RunLedger) -> None:
    carry_out(here, accepted(here))
    assert accepted(here).state is RunState.ACCEPTED


# Being in somebody's hands


def test_a_run_is_taken_over_once_its_lease_has_run_out(here: RunLedger, there: RunLedger, clock: Clock) -> None:
    run = accepted(here)
    clock.move(seconds=LEASE.total_seconds() - 1e-6)
    with pytest.raises(LeaseLost):
        there.claim(run.run_id)
    clock.move(seconds=1e-6)
    claimed = there.claim(run.run_id)
    assert (claimed.lease.owner, claimed.lease.fence, claimed.state) == ("there", 2, RunState.RUNNING)
    assert here.find(run.run_id) == claimed


def test_a_renewed_lease_lasts_another_term_from_now(here: RunLedger, there: RunLedger, clock: Clock) -> None:
    run = accepted(here)
    clock.move(seconds=9)
    here.renew(run)
    clock.move(seconds=9)
    with pytest.raises(LeaseLost):
        there.claim(run.run_id)
    clock.move(seconds=1)
    assert there.claim(run.run_id).lease.fence == 2


def test_the_former_owner_can_not_complete_a_run(here: RunLedger, there: RunLedger, clock: Clock) -> None:
    run = accepted(here, b"body")
    claimed = taken_over(run, there, clock)
    before = effects(here.ledger)
    with pytest.raises(LeaseLost):
        carry_out(here, run)
    assert effects(here.ledger) == before
    assert here.find(run.run_id) == claimed
    assert list(here.body(run.run_id)) == [b"body"]


def test_an_owner_is_heard_while_somebody_else_writes(here: RunLedger, there: RunLedger, clock: Clock) -> None:
    run = here.claim(accepted(here).run_id)
    with here.ledger.recorder.write():
        clock.move(seconds=9)
        here.renew(run)
        clock.move(seconds=9)
    assert there.overdue() == []
    with pytest.raises(LeaseLost):
        there.claim(run.run_id)


def test_the_former_owner_can_not_renew_or_fail_a_run(here: RunLedger, there: RunLedger, clock: Clock) -> None:
    run = accepted(here, b"body")
    claimed = taken_over(run, there, clock)
    with pytest.raises(LeaseLost):
        here.renew(run)
    with pytest.raises(LeaseLost):
        here.fail(run, PROBLEM)
    assert here.find(run.run_id) == claimed
    assert list(here.body(run.run_id)) == [b"body"]


def test_an_earlier_turn_of_the_same_owner_counts_for_nothing(here: RunLedger, clock: Clock) -> None:
    run = accepted(here)
    again = taken_over(run, here, clock)
    with pytest.raises(LeaseLost):
        carry_out(here, run)
    assert carry_out(here, again).state is RunState.COMPLETED


def test_who_has_let_a_lease_run_out_may_end_the_run_while_nobody_else_has_taken_it(
    here: RunLedger, clock: Clock
) -> None:
    run = accepted(here)
    clock.move(days=1)
    assert carry_out(here, run).state is RunState.COMPLETED


def test_overdue_are_the_unfinished_runs_whose_leases_have_run_out(here: RunLedger, clock: Clock) -> None:
    for partner in ("harbor", "lagoon", "marina"):
        here.ledger.handle(SetPartner(partner), OPERATOR)
    carry_out(here, accepted(here))
    here.fail(accepted(here), PROBLEM)
    first, second = (accepted(here, asked=request(partner=partner)) for partner in ("harbor", "lagoon"))
    clock.move(seconds=1)
    held = accepted(here, asked=request(partner="marina"))
    assert here.overdue() == []
    clock.move(seconds=9)
    assert here.overdue() == [first, second]
    clock.move(seconds=1)
    assert here.overdue() == [first, second, held]


def test_a_claimed_or_renewed_run_is_not_overdue(here: RunLedger, there: RunLedger, clock: Clock) -> None:
    run = accepted(here)
    claimed = taken_over(run, there, clock)
    assert here.overdue() == []
    clock.move(seconds=9)
    there.renew(claimed)
    clock.move(seconds=9)
    assert here.overdue() == []


def test_who_goes_lets_others_take_over_at_once(here: RunLedger, there: RunLedger) -> None:
    here.ledger.handle(SetPartner("harbor"), OPERATOR)
    mine, theirs = accepted(here), accepted(there, asked=request(partner="harbor"))
    here.release()
    assert ids(there.overdue()) == [mine.run_id]
    assert there.claim(mine.run_id).lease.fence > mine.lease.fence
    with pytest.raises(LeaseLost):
        here.claim(theirs.run_id)


def test_who_has_let_go_has_lost_its_right(here: RunLedger) -> None:
    mine = accepted(here)
    here.release()
    with pytest.raises(LeaseLost):
        here.renew(mine)


def test_letting_go_leaves_finished_runs_as_they_are(here: RunLedger) -> None:
    completed = carry_out(here, accepted(here))
    here.release()
    assert here.find(completed.run_id) == completed


# The end


def test_a_completed_run_has_stored_its_events_its_outcome_and_its_state(here: RunLedger, there: RunLedger) -> None:
    run = accepted(here, b"body")
    completed = carry_out(here, run, "TP-1", "TP-2")
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
def test_the_body_of_a_finished_run_is_gone(here: RunLedger, state: RunState) -> None:
    run = accepted(here, b"body")
    carry_out(here, run) if state is RunState.COMPLETED else here.fail(run, PROBLEM)
    assert list(here.body(run.run_id)) == []
    assert rows(here.ledger, "run_bodies") == 0


def test_a_run_completes_only_once(here: RunLedger) -> None:
    run = accepted(here)
    completed = carry_out(here, run)
    before = effects(here.ledger)
    for again in (run, completed):
        with pytest.raises(LeaseLost):
            carry_out(here, again, "TP-2")
        with pytest.raises(LeaseLost):
            here.fail(again, PROBLEM)
    assert effects(here.ledger) == before
    assert here.find(run.run_id) == completed


def test_a_failed_run_tells_why_and_has_changed_nothing(here: RunLedger) -> None:
    run = accepted(here)
    before = effects(here.ledger)
    failed = here.fail(run, PROBLEM)
    assert (failed.state, failed.problem, here.find(run.run_id)) == (RunState.FAILED, PROBLEM, failed)
    assert effects(here.ledger) == before
    with pytest.raises(LeaseLost):
        carry_out(here, run)


def test_a_failed_run_gives_its_request_id_and_its_slot_back(here: RunLedger) -> None:
    here.ledger.handle(SetPartner(PARTNER, synchronize_per_day=1), OPERATOR)
    asked = request(b"body", Operation.SYNCHRONIZE)
    first = accepted(here, b"body", asked)
    here.fail(first, PROBLEM)
    again = request(b"body", Operation.SYNCHRONIZE, request_id_of(first))
    second = accepted(here, b"body", again)
    assert (second.run_id, second.state) == (again.run_id, RunState.ACCEPTED)
    carry_out(here, second)
    with pytest.raises(RunLimitReached):
        accepted(here, asked=request(b"more", Operation.SYNCHRONIZE))
