"""Whose turn is it to carry a run out, and how does its life end?"""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import asdict, replace

from domain.refusals import LeaseLost
from domain.runs import run as runs
from domain.runs.run import OUTCOMES, ItemOutcome, Lease, Outcome, OutcomeCounts, Run, RunState
from domain.single_requests.request import TraceOutcome
from domain.values import Channel, Source
from tests.support.histories.runs import FEED, LEASE, PROBLEM, request

NOW = datetime(2026, 11, 22, 12, 30, tzinfo=UTC)
REQUEST = request(b"{}")
ACCEPTED = runs.accept(REQUEST, FEED, Lease("here", NOW + LEASE, 1), NOW, position=3)
RUNNING = runs.claim(ACCEPTED, "here", NOW, LEASE)
COMPLETED = runs.complete(RUNNING, Outcome(created=[ItemOutcome("TP-1", ())]), "digest", 7, NOW)
FAILED = runs.fail(RUNNING, PROBLEM, NOW)

BEFORE_THE_END = NOW + LEASE - timedelta(microseconds=1)
AT_THE_END = NOW + LEASE
FINISHED = pytest.mark.parametrize("finished", [COMPLETED, FAILED], ids=lambda run: run.state)
UNFINISHED = pytest.mark.parametrize("unfinished", [ACCEPTED, RUNNING], ids=lambda run: run.state)


def apart_from(run: Run, *members: str) -> dict[str, Any]:
    return {name: value for name, value in asdict(run).items() if name not in members}


# Accepting


def test_an_accepted_run_tells_what_was_asked_by_whom_and_when() -> None:
    asked = {name: value for name, value in asdict(REQUEST).items() if name not in {"same_as", "body_chunks"}}
    assert asdict(ACCEPTED) | asked == asdict(ACCEPTED)
    assert (ACCEPTED.channel, ACCEPTED.source, ACCEPTED.actor) == (Channel.CUSTOM, Source.CUSTOM, "tide-feed")
    assert ACCEPTED.accepted_at == NOW


def test_a_run_is_accepted_before_anything_is_known_of_its_outcome() -> None:
    assert (ACCEPTED.state, ACCEPTED.is_finished) == (RunState.ACCEPTED, False)
    unknown = (
        ACCEPTED.request_digest,
        ACCEPTED.finished_at,
        ACCEPTED.counts,
        ACCEPTED.messages,
        ACCEPTED.position,
        ACCEPTED.problem,
    )
    assert unknown == (None, None, None, [], None, None)


def test_the_lease_of_an_accepted_run_is_the_one_that_it_was_given() -> None:
    assert ACCEPTED.lease == Lease("here", NOW + LEASE, 1)


# Claiming


@UNFINISHED
@pytest.mark.parametrize("now", [NOW, BEFORE_THE_END])
def test_the_owner_of_a_run_goes_on_with_it_in_the_same_turn(unfinished: Run, now: datetime) -> None:
    claimed = runs.claim(unfinished, "here", now, LEASE)
    assert (claimed.state, claimed.lease) == (RunState.RUNNING, Lease("here", now + LEASE, 1))


@UNFINISHED
@pytest.mark.parametrize("now", [NOW, BEFORE_THE_END])
def test_nobody_else_may_claim_a_run_while_its_lease_lasts(unfinished: Run, now: datetime) -> None:
    with pytest.raises(LeaseLost) as refused:
        runs.claim(unfinished, "there", now, LEASE)
    assert refused.value.run_id == unfinished.run_id


@UNFINISHED
@pytest.mark.parametrize("now", [AT_THE_END, AT_THE_END + timedelta(days=3)])
def test_anybody_may_take_a_run_over_once_its_lease_has_run_out(unfinished: Run, now: datetime) -> None:
    claimed = runs.claim(unfinished, "there", now, LEASE)
    assert (claimed.state, claimed.lease) == (RunState.RUNNING, Lease("there", now + LEASE, 2))


@UNFINISHED
def test_an_owner_that_has_let_its_lease_run_out_begins_another_turn(unfinished: Run) -> None:
    assert runs.claim(unfinished, "here", AT_THE_END, LEASE).lease == Lease("here", AT_THE_END + LEASE, 2)


@FINISHED
@pytest.mark.parametrize("owner", ["here", "there"])
@pytest.mark.parametrize("now", [NOW, AT_THE_END])
def test_a_finished_run_can_not_be_claimed(finished: Run, owner: str, now: datetime) -> None:
    with pytest.raises(LeaseLost):
        runs.claim(finished, owner, now, LEASE)


def test_claiming_changes_nothing_but_the_state_the_lease_and_the_attempts() -> None:
    claimed = runs.claim(ACCEPTED, "there", AT_THE_END, LEASE)
    assert apart_from(claimed, "state", "lease", "attempts") == apart_from(ACCEPTED, "state", "lease", "attempts")


def test_each_taking_over_raises_the_fence() -> None:
    run, now = ACCEPTED, NOW
    for turn in range(2, 9):
        now += LEASE
        run = runs.claim(run, "here" if turn % 2 else "there", now, LEASE)
        assert run.lease.fence == turn


@given(
    st.lists(st.tuples(st.sampled_from(["here", "there", "elsewhere"]), st.integers(0, 15), st.booleans()), max_size=20)
)
def test_a_turn_is_told_from_every_other_turn_by_its_fence(steps: list[tuple[str, int, bool]]) -> None:
    run, now, turns = ACCEPTED, NOW, {1: "here"}
    for owner, seconds, releases in steps:
        now += timedelta(seconds=seconds)
        if releases:
            run = runs.release(run, now)
            turns[run.lease.fence] = "nobody"
            continue
        try:
            run = runs.claim(run, owner, now, LEASE)
        except LeaseLost:
            continue
        assert turns.setdefault(run.lease.fence, owner) == owner
    assert list(turns) == list(range(1, len(turns) + 1))


# Releasing


@UNFINISHED
def test_releasing_ends_the_lease_at_once_and_raises_the_fence(unfinished: Run) -> None:
    released = runs.release(unfinished, BEFORE_THE_END)
    assert released.lease == Lease("here", BEFORE_THE_END, 2)
    assert apart_from(released, "lease", "attempts") == apart_from(unfinished, "lease", "attempts")


def test_a_beginning_counts_as_an_attempt_unless_the_run_is_released() -> None:
    begun = runs.claim(ACCEPTED, "here", BEFORE_THE_END, LEASE)
    assert (ACCEPTED.attempts, begun.attempts, runs.release(begun, BEFORE_THE_END).attempts) == (0, 1, 0)


# The end


def test_a_completed_run_tells_what_it_did_and_as_of_which_position() -> None:
    outcome = Outcome(created=[ItemOutcome("TP-1", ())], failed=[ItemOutcome(None, ())], messages=["a word"])
    completed = runs.complete(RUNNING, outcome, "digest", 7, AT_THE_END)
    assert (completed.state, completed.is_finished, completed.finished_at) == (RunState.COMPLETED, True, AT_THE_END)
    assert (completed.request_digest, completed.position) == ("digest", 7)
    assert (completed.counts, completed.messages) == (OutcomeCounts(created=1, failed=1), ["a word"])
    assert completed.problem is None


def test_a_failed_run_tells_its_problem_and_no_outcome() -> None:
    failed = runs.fail(RUNNING, PROBLEM, AT_THE_END)
    assert (failed.state, failed.is_finished, failed.finished_at) == (RunState.FAILED, True, AT_THE_END)
    assert (failed.problem, failed.counts, failed.position, failed.request_digest) == (PROBLEM, None, None, None)


@FINISHED
def test_the_end_of_a_run_changes_neither_its_request_nor_its_lease(finished: Run) -> None:
    ends = ("state", "finished_at", "request_digest", "counts", "messages", "position", "problem")
    assert apart_from(finished, *ends) == apart_from(RUNNING, *ends)


# Its slot


@pytest.mark.parametrize(
    ("run", "is_counted"),
    [
        (ACCEPTED, True),
        (RUNNING, True),
        (COMPLETED, True),
        (FAILED, False),
        (replace(COMPLETED, counts=OutcomeCounts(failed=2)), False),
        (replace(COMPLETED, counts=OutcomeCounts(failed=2, paused=1)), False),
        (replace(COMPLETED, counts=OutcomeCounts(failed=2, unchanged=1)), True),
        (replace(COMPLETED, counts=OutcomeCounts(failed=2, updated=1)), True),
        (replace(COMPLETED, counts=OutcomeCounts(failed=2, created=1)), True),
        (replace(COMPLETED, counts=OutcomeCounts()), False),
    ],
)
def test_a_run_uses_a_slot_unless_it_failed_or_could_apply_nothing(run: Run, is_counted: bool) -> None:  # noqa: FBT001
    assert run.is_counted is is_counted


def test_only_what_the_request_names_can_be_in_order() -> None:
    others = {"failed", "paused", "discrepancy"}
    for outcome in OUTCOMES:
        assert OutcomeCounts(**{outcome: 1}).nothing_valid is (outcome in others)


def test_everywhere_the_outcomes_are_the_same_in_the_same_order() -> None:
    assert Outcome.__struct_fields__ == (*OUTCOMES, "messages")
    assert set(OUTCOMES) >= set(TraceOutcome)
