"""Whatever two owners do, and however long they sleep meanwhile: a run ends at most once, and has its effects once."""

import tempfile
from contextlib import ExitStack
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
from tests.support.harness import Clock
from tests.support.histories.runs import LEASE, PROBLEM, accepted, ids, offer_versions, opened, plan, rows, valid

OWNERS = st.sampled_from(["here", "there"])
TURNS = st.integers(min_value=0)


class TwoOwners(RuleBasedStateMachine):
    """`turns`: every hold on a run that an owner was ever given, true or stale; `held`: the one that counts."""

    def __init__(self) -> None:
        super().__init__()
        self.resources = ExitStack()
        folder = self.resources.enter_context(tempfile.TemporaryDirectory())
        self.clock = Clock()
        self.ledger = self.resources.enter_context(opened(Path(folder) / "ledger.db", self.clock))
        self.owners = {name: RunLedger(self.ledger, name, LEASE) for name in ("here", "there")}
        self.turns: list[Run] = []
        self.held: Run | None = None
        self.until = self.clock()
        self.completed: list[UUID] = []

    def teardown(self) -> None:
        self.resources.close()

    @rule(seconds=st.sampled_from([1, 4, 9, 10, 11]))
    def time_passes(self, seconds: int) -> None:
        self.clock.move(seconds=seconds)

    @rule(owner=OWNERS)
    def accept(self, owner: str) -> None:
        if self.held:
            with pytest.raises(RunInProgress):
                accepted(self.owners[owner])
        else:
            self._holds(accepted(self.owners[owner]))

    @precondition(lambda self: self.turns)
    @rule(owner=OWNERS, turn=TURNS)
    def claim(self, owner: str, turn: int) -> None:
        run = self._turn(turn)
        is_free = self.clock() >= self.until
        if self.held and self.held.run_id == run.run_id and (is_free or self.held.lease.owner == owner):
            claimed = self.owners[owner].claim(run.run_id)
            assert claimed.lease.fence == self.held.lease.fence + is_free
            self._holds(claimed)
        else:
            with pytest.raises(LeaseLost):
                self.owners[owner].claim(run.run_id)

    @precondition(lambda self: self.turns)
    @rule(turn=TURNS)
    def renew(self, turn: int) -> None:
        run = self._turn(turn)
        if self._counts(run):
            self.owners[run.lease.owner].renew(run)
            self.until = self.clock() + LEASE
        else:
            with pytest.raises(LeaseLost):
                self.owners[run.lease.owner].renew(run)

    @precondition(lambda self: self.turns)
    @rule(turn=TURNS)
    def complete(self, turn: int) -> None:
        run = self._turn(turn)
        runs = self.owners[run.lease.owner]
        planned = plan(runs, run, [valid(str(run.run_id))])
        if self._counts(run):
            runs.complete(run, planned, "digest")
            self.completed.append(run.run_id)
            self.held = None
        else:
            with pytest.raises(LeaseLost):
                runs.complete(run, planned, "digest")

    @precondition(lambda self: self.turns)
    @rule(turn=TURNS)
    def fail(self, turn: int) -> None:
        run = self._turn(turn)
        if self._counts(run):
            self.owners[run.lease.owner].fail(run, PROBLEM)
            self.held = None
        else:
            with pytest.raises(LeaseLost):
                self.owners[run.lease.owner].fail(run, PROBLEM)

    @rule(owner=OWNERS)
    def let_go(self, owner: str) -> None:
        self.owners[owner].release()
        if self.held and self.held.lease.owner == owner:
            self.until = self.clock()
            self.held = runs.release(self.held, self.until)

    @invariant()
    def every_completed_run_has_had_its_effects_once(self) -> None:
        assert offer_versions(self.ledger) == dict.fromkeys(map(str, self.completed), 1)
        assert rows(self.ledger, "run_outcomes") == len(self.completed)
        assert rows(self.ledger, "runs WHERE state = 'completed'") == len(self.completed)

    @invariant()
    def there_is_at_most_one_unfinished_run_and_only_its_body(self) -> None:
        unfinished = [self.held.run_id] if self.held else []
        assert rows(self.ledger, "runs WHERE state IN ('accepted', 'running')") == len(unfinished)
        assert rows(self.ledger, "run_bodies") == len(unfinished)
        assert all(list(self.owners["here"].body(run_id)) == [b"{}"] for run_id in unfinished)

    @invariant()
    def a_run_is_overdue_when_its_lease_has_run_out(self) -> None:
        overdue = [self.held.run_id] if self.held and self.clock() >= self.until else []
        assert ids(self.owners["here"].overdue()) == overdue

    def _turn(self, turn: int) -> Run:
        return self.turns[-1 - turn % len(self.turns)]

    def _holds(self, run: Run) -> None:
        self.held, self.until = run, run.lease.until
        self.turns.append(run)

    def _counts(self, run: Run) -> bool:
        held = self.held
        return held is not None and (held.run_id, held.lease.fence) == (run.run_id, run.lease.fence)


TestTwoOwners = TwoOwners.TestCase
TestTwoOwners.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)
