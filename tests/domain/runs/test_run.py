"""Tests of the life cycle of runs: leases, attempts and outcomes."""

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

BEFORE_EXPIRY = NOW + LEASE - timedelta(microseconds=1)
AT_EXPIRY = NOW + LEASE
FINISHED = pytest.mark.parametrize("finished", [COMPLETED, FAILED], ids=lambda run: run.state)
UNFINISHED = pytest.mark.parametrize("unfinished", [ACCEPTED, RUNNING], ids=lambda run: run.state)


def members_except(run: Run, *members: str) -> dict[str, Any]:
    return {name: value for name, value in asdict(run).items() if name not in members}


# Accepting


def test_accepted_run_has_the_members_of_its_request() -> None:
    members = {
        name: value for name, value in asdict(REQUEST).items() if name not in {"equivalent_run_id", "body_chunks"}
    }
    assert asdict(ACCEPTED) | members == asdict(ACCEPTED)
    assert (ACCEPTED.channel, ACCEPTED.source, ACCEPTED.actor) == (Channel.CUSTOM, Source.CUSTOM, "tide-feed")
    assert ACCEPTED.accepted_at == NOW


def test_accepted_run_has_no_outcome() -> None:
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


def test_accepted_run_has_the_given_lease() -> None:
    assert ACCEPTED.lease == Lease("here", NOW + LEASE, 1)


# Claiming


@UNFINISHED
@pytest.mark.parametrize("now", [NOW, BEFORE_EXPIRY])
def test_owner_claims_its_run_with_the_same_fence(unfinished: Run, now: datetime) -> None:
    claimed = runs.claim(unfinished, "here", now, LEASE)
    assert (claimed.state, claimed.lease) == (RunState.RUNNING, Lease("here", now + LEASE, 1))


@UNFINISHED
@pytest.mark.parametrize("now", [NOW, BEFORE_EXPIRY])
def test_another_process_can_not_claim_an_unexpired_lease(unfinished: Run, now: datetime) -> None:
    with pytest.raises(LeaseLost) as refused:
        runs.claim(unfinished, "there", now, LEASE)
    assert refused.value.run_id == unfinished.run_id


@UNFINISHED
@pytest.mark.parametrize("now", [AT_EXPIRY, AT_EXPIRY + timedelta(days=3)])
def test_another_process_can_claim_an_expired_lease(unfinished: Run, now: datetime) -> None:
    claimed = runs.claim(unfinished, "there", now, LEASE)
    assert (claimed.state, claimed.lease) == (RunState.RUNNING, Lease("there", now + LEASE, 2))


@UNFINISHED
def test_owner_gets_a_new_fence_after_its_lease_expired(unfinished: Run) -> None:
    assert runs.claim(unfinished, "here", AT_EXPIRY, LEASE).lease == Lease("here", AT_EXPIRY + LEASE, 2)


@FINISHED
@pytest.mark.parametrize("owner", ["here", "there"])
@pytest.mark.parametrize("now", [NOW, AT_EXPIRY])
def test_finished_run_can_not_be_claimed(finished: Run, owner: str, now: datetime) -> None:
    with pytest.raises(LeaseLost):
        runs.claim(finished, owner, now, LEASE)


def test_claim_changes_only_state_lease_and_attempts() -> None:
    claimed = runs.claim(ACCEPTED, "there", AT_EXPIRY, LEASE)
    assert members_except(claimed, "state", "lease", "attempts") == members_except(
        ACCEPTED, "state", "lease", "attempts"
    )


@given(st.timedeltas(timedelta(-3), timedelta(days=3)), st.timedeltas(timedelta(microseconds=1), timedelta(hours=1)))
def test_lease_is_held_only_within_its_length_before_its_end(jump: timedelta, length: timedelta) -> None:
    run = runs.accept(REQUEST, FEED, Lease("here", NOW + length, 1), NOW, position=3)
    is_held = timedelta() <= jump < length
    try:
        claimed = runs.claim(run, "there", NOW + jump, length)
    except LeaseLost:
        assert is_held
    else:
        assert not is_held
        assert claimed.lease == Lease("there", NOW + jump + length, 2)


def test_each_takeover_increases_the_fence() -> None:
    run, now = ACCEPTED, NOW
    for fence in range(2, 9):
        now += LEASE
        run = runs.claim(run, "here" if fence % 2 else "there", now, LEASE)
        assert run.lease.fence == fence


@given(
    st.lists(st.tuples(st.sampled_from(["here", "there", "elsewhere"]), st.integers(0, 15), st.booleans()), max_size=20)
)
def test_fence_belongs_to_one_owner(steps: list[tuple[str, int, bool]]) -> None:
    run, now, owners = ACCEPTED, NOW, {1: "here"}
    for owner, seconds, releases in steps:
        now += timedelta(seconds=seconds)
        if releases:
            run = runs.release(run, now)
            owners[run.lease.fence] = "released"
            continue
        try:
            run = runs.claim(run, owner, now, LEASE)
        except LeaseLost:
            continue
        assert owners.setdefault(run.lease.fence, owner) == owner
    assert list(owners) == list(range(1, len(owners) + 1))


# Releasing


@UNFINISHED
def test_release_ends_the_lease_and_increases_the_fence(unfinished: Run) -> None:
    released = runs.release(unfinished, BEFORE_EXPIRY)
    assert released.lease == Lease("here", BEFORE_EXPIRY, 2)
    assert members_except(released, "lease", "attempts") == members_except(unfinished, "lease", "attempts")


def test_claim_counts_as_an_attempt_unless_the_run_is_released() -> None:
    started = runs.claim(ACCEPTED, "here", BEFORE_EXPIRY, LEASE)
    assert (ACCEPTED.attempts, started.attempts, runs.release(started, BEFORE_EXPIRY).attempts) == (0, 1, 0)


# Finishing


def test_completed_run_has_outcome_and_position() -> None:
    outcome = Outcome(created=[ItemOutcome("TP-1", ())], failed=[ItemOutcome(None, ())], messages=["a word"])
    completed = runs.complete(RUNNING, outcome, "digest", 7, AT_EXPIRY)
    assert (completed.state, completed.is_finished, completed.finished_at) == (RunState.COMPLETED, True, AT_EXPIRY)
    assert (completed.request_digest, completed.position) == ("digest", 7)
    assert (completed.counts, completed.messages) == (OutcomeCounts(created=1, failed=1), ["a word"])
    assert completed.problem is None


def test_failed_run_has_a_problem_and_no_outcome() -> None:
    failed = runs.fail(RUNNING, PROBLEM, AT_EXPIRY)
    assert (failed.state, failed.is_finished, failed.finished_at) == (RunState.FAILED, True, AT_EXPIRY)
    assert (failed.problem, failed.counts, failed.position, failed.request_digest) == (PROBLEM, None, None, None)


@FINISHED
def test_finishing_changes_neither_request_nor_lease(finished: Run) -> None:
    changed = ("state", "finished_at", "request_digest", "counts", "messages", "position", "problem")
    assert members_except(finished, *changed) == members_except(RUNNING, *changed)


# Run limits


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
def test_run_counts_unless_it_failed_or_had_nothing_valid(run: Run, is_counted: bool) -> None:
    assert run.is_counted is is_counted


def test_only_outcomes_of_sent_items_count_as_valid() -> None:
    others = {"failed", "paused", "discrepancy", "kept"}
    for outcome in OUTCOMES:
        assert OutcomeCounts(**{outcome: 1}).nothing_valid is (outcome in others)


def test_outcomes_are_the_same_in_all_types() -> None:
    assert Outcome.__struct_fields__ == (*OUTCOMES, "messages")
    assert set(OUTCOMES) >= set(TraceOutcome)
