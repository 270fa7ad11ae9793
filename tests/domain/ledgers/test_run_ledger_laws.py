"""Laws of run ownership: with several owners, delays and clock jumps, each run takes effect at most once."""

import tempfile
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from uuid import UUID

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from domain.ledgers.run_ledger import RunLedger
from domain.refusals import LeaseLost, RunInProgress
from domain.runs import run as runs
from domain.runs.run import Run
from tests.support.engine import examples
from tests.support.harness import Clock
from tests.support.histories.runs import (
    LEASE,
    PROBLEM,
    accepted_run,
    count_rows,
    offer_versions,
    open_ledger,
    plan,
    run_ids,
    valid_item,
)

OWNERS = st.sampled_from(["here", "there", "elsewhere"])
NUMBERS = st.integers(min_value=0)


class SeveralOwners(RuleBasedStateMachine):
    """State machine with several owners and a clock that jumps both ways.

    `leased`: every run object that an owner got, valid or stale. `held`: the valid one. `ends`: the ends that its owner has
    set for its lease, at the claim and at the last renewal."""

    def __init__(self) -> None:
        super().__init__()
        self.resources = ExitStack()
        folder = self.resources.enter_context(tempfile.TemporaryDirectory())
        self.clock = Clock()
        self.ledger = self.resources.enter_context(open_ledger(Path(folder) / "ledger.db", self.clock))
        self.owners = {name: RunLedger(self.ledger, name, LEASE) for name in ("here", "there", "elsewhere")}
        self.leased: list[Run] = []
        self.held: Run | None = None
        self.ends: dict[str, datetime] = {}
        self.completed: list[UUID] = []

    def teardown(self) -> None:
        self.resources.close()

    @rule(seconds=st.sampled_from([1, 4, 9, 10, 11, 300, 10_800, -1, -5, -11, -300, -10_800]))
    def move_clock(self, seconds: int) -> None:
        self.clock.move(seconds=seconds)

    @rule(owner=OWNERS)
    def accept(self, owner: str) -> None:
        if self.held:
            with pytest.raises(RunInProgress):
                accepted_run(self.owners[owner])
        else:
            self._hold(accepted_run(self.owners[owner]))

    @precondition(lambda self: self.leased)
    @rule(owner=OWNERS, number=NUMBERS)
    def claim(self, owner: str, number: int) -> None:
        run = self._leased_run(number)
        is_free = self._is_free()
        if self.held and self.held.run_id == run.run_id and (is_free or self.held.lease.owner == owner):
            claimed = self.owners[owner].claim(run.run_id)
            assert claimed.lease.fence == self.held.lease.fence + is_free
            self._hold(claimed)
        else:
            with pytest.raises(LeaseLost):
                self.owners[owner].claim(run.run_id)

    @precondition(lambda self: self.leased)
    @rule(number=NUMBERS)
    def renew(self, number: int) -> None:
        run = self._leased_run(number)
        if self._is_valid(run):
            self.owners[run.lease.owner].renew(run)
            self.ends["renewed"] = self.clock() + LEASE
        else:
            with pytest.raises(LeaseLost):
                self.owners[run.lease.owner].renew(run)

    @precondition(lambda self: self.leased)
    @rule(number=NUMBERS)
    def complete(self, number: int) -> None:
        run = self._leased_run(number)
        runs = self.owners[run.lease.owner]
        planned = plan(runs, run, [valid_item(str(run.run_id))])
        if self._is_valid(run):
            runs.complete(run, planned, "digest")
            self.completed.append(run.run_id)
            self.held = None
        else:
            with pytest.raises(LeaseLost):
                runs.complete(run, planned, "digest")

    @precondition(lambda self: self.leased)
    @rule(number=NUMBERS)
    def fail(self, number: int) -> None:
        run = self._leased_run(number)
        if self._is_valid(run):
            self.owners[run.lease.owner].fail(run, PROBLEM)
            self.held = None
        else:
            with pytest.raises(LeaseLost):
                self.owners[run.lease.owner].fail(run, PROBLEM)

    @rule(owner=OWNERS)
    def release(self, owner: str) -> None:
        self.owners[owner].release()
        if self.held and self.held.lease.owner == owner:
            self.held = runs.release(self.held, self.clock())
            self.ends = {"released": self.clock()}

    @invariant()
    def each_completed_run_took_effect_once(self) -> None:
        assert offer_versions(self.ledger) == dict.fromkeys(map(str, self.completed), 1)
        assert count_rows(self.ledger, "run_outcomes") == len(self.completed)
        assert count_rows(self.ledger, "runs WHERE state = 'completed'") == len(self.completed)

    @invariant()
    def only_an_unfinished_run_has_a_body(self) -> None:
        unfinished = [self.held.run_id] if self.held else []
        assert count_rows(self.ledger, "runs WHERE state IN ('accepted', 'running')") == len(unfinished)
        assert count_rows(self.ledger, "run_bodies") == len(unfinished)
        assert all(list(self.owners["here"].body(run_id)) == [b"{}"] for run_id in unfinished)

    @invariant()
    def run_with_an_expired_lease_is_overdue(self) -> None:
        overdue = [self.held.run_id] if self.held and self._is_free() else []
        assert run_ids(self.owners["here"].find_overdue()) == overdue

    def _leased_run(self, number: int) -> Run:
        return self.leased[-1 - number % len(self.leased)]

    def _hold(self, run: Run) -> None:
        if self.held is None or (self.held.run_id, self.held.lease.fence) != (run.run_id, run.lease.fence):
            self.ends = {}
        self.ends["claimed"] = run.lease.until
        self.held = run
        self.leased.append(run)

    def _is_free(self) -> bool:
        """An end is valid until it is reached, unless the clock was ahead when the owner set it."""
        return not any(self.clock() < end <= self.clock() + LEASE for end in self.ends.values())

    def _is_valid(self, run: Run) -> bool:
        held = self.held
        return held is not None and (held.run_id, held.lease.fence) == (run.run_id, run.lease.fence)


TestSeveralOwners = SeveralOwners.TestCase
TestSeveralOwners.settings = settings(max_examples=examples(60), stateful_step_count=30, deadline=None)
