"""Laws of the undo, after any traffic: it gives the state before the run, and the undo of the undo takes it back."""

from collections.abc import Sequence
from uuid import UUID

from hypothesis import given, settings
from hypothesis import strategies as st

from api.service import Service
from domain.ledgers.undo_ledger import accept_undo, preview_undo
from domain.refusals import NothingToUndo
from domain.runs.run import OUTCOMES, Outcome, Run, RunState
from domain.store.commit import positions_of_run
from domain.values import Operation
from projections.maintenance.verification import verify
from tests.support.engine import examples
from tests.support.harness import OPERATOR, Clock, execute_run, outcome_of, run_ledger
from tests.support.histories.traffic import IDS, MERCHANTS, Step, empty_service, putting, sending, sending_file, steps

State = dict[tuple[str, str | None, str], tuple[str, str]]
"""Status and content digest by channel, merchantId and externalId."""

runs_to_undo = st.one_of(
    st.builds(
        sending,
        st.sampled_from(Operation),
        st.lists(st.sampled_from(IDS), min_size=1, unique=True),
        st.sampled_from(["one", "two", "three"]),
    ),
    st.builds(
        sending_file,
        st.lists(st.sampled_from(MERCHANTS[:2]), min_size=1, unique=True),
        st.sampled_from(["one", "Two", "three"]),
    ),
)
later_changes = st.lists(
    st.one_of(
        st.builds(putting, st.sampled_from(MERCHANTS), st.sampled_from(["later", None])),
        st.builds(sending, st.just(Operation.INSERT), st.lists(st.sampled_from(IDS), min_size=1), st.just("later")),
    ),
    max_size=2,
)


def state_of(service: Service, partner: str) -> State:
    with service.ledger.read() as tx:
        rows = tx.execute(
            "SELECT channel, merchant_id, external_id, status, content_digest FROM inventory WHERE partner = ?",
            (partner,),
        ).fetchall()
    return {(row[0], row[1], row[2]): (row[3], row[4]) for row in rows}


def do(service: Service, clock: Clock, sequence: Sequence[Step]) -> None:
    for step in sequence:
        step(service, clock)


def undo(service: Service, run_id: UUID) -> Run:
    runs = run_ledger(service.ledger)
    return execute_run(runs, accept_undo(runs, run_id, OPERATOR._replace(reason="wrong")).run)


def is_recorded(service: Service, run: Run) -> bool:
    with service.ledger.read() as tx:
        return positions_of_run(tx, run.run_id) is not None


@given(st.lists(steps, max_size=8), runs_to_undo)
@settings(max_examples=examples(60), deadline=None)
def test_undo_gives_the_state_before_the_run(traffic: list[Step], step: Step) -> None:
    with empty_service() as (service, clock):
        do(service, clock, traffic)
        before = state_of(service, "tidepool")
        run = step(service, clock)
        assert isinstance(run, Run)
        after = state_of(service, "tidepool")
        if not is_recorded(service, run):
            return
        undone = undo(service, run.run_id)
        assert (undone.state, undone.counts and undone.counts.kept) == (RunState.COMPLETED, 0)
        created = {key: ("deleted", digest) for key, (_, digest) in after.items() if key not in before}
        assert state_of(service, "tidepool") == before | created
        assert verify(service.ledger) == []


@given(st.lists(steps, max_size=6), runs_to_undo, later_changes)
@settings(max_examples=examples(60), deadline=None)
def test_undo_of_the_undo_gives_the_state_before_it(traffic: list[Step], step: Step, later: list[Step]) -> None:
    with empty_service() as (service, clock):
        do(service, clock, traffic)
        run = step(service, clock)
        assert isinstance(run, Run)
        do(service, clock, later)
        states = [state_of(service, "tidepool")]
        runs = run_ledger(service.ledger)
        try:
            planned = preview_undo(runs, run.run_id).plan.outcome
            undone = undo(service, run.run_id)
        except NothingToUndo:
            return
        assert items_of(outcome_of(service.ledger, undone)) == items_of(planned)
        for _ in range(3):
            states.append(state_of(service, "tidepool"))
            undone = undo(service, undone.run_id)
        states.append(state_of(service, "tidepool"))
        assert states[0] == states[2] == states[4]
        assert states[1] == states[3]
        assert verify(service.ledger) == []


def items_of(outcome: Outcome) -> list[object]:
    return [getattr(outcome, kind) for kind in OUTCOMES]
