"""Tests of the undo of runs on a real ledger: slots, files, images, later changes, and several owners."""

from collections.abc import Iterator
from datetime import timedelta
from uuid import UUID, uuid4

import pytest

from api.service import Service
from domain.access.partner import SetPartner
from domain.ledgers import undo_ledger
from domain.ledgers.run_ledger import RunLedger
from domain.ledgers.undo_ledger import accept_undo, execute_undo, preview_undo
from domain.refusals import FileSuperseded, LeaseLost, NothingToUndo, RunInProgress, UnknownRun
from domain.runs.run import OutcomeCounts, Run, RunState, Undo
from domain.values import Operation, Origin, Source, no_progress
from projections.maintenance.verification import verify
from tests.support.examples import item
from tests.support.harness import OPERATOR, Clock, execute_run, outcome_of, run_batch
from tests.support.histories.offers_files import (
    PICTURE,
    TODAY,
    accept,
    content,
    content_of,
    file_with,
    history_of,
    process,
    put,
)
from tests.support.histories.runs import LEASE, PROBLEM, accepted_run, count_rows, offer_versions
from tests.support.histories.single_requests import delete, merchant_key, status_and_name

ONE, TWO = merchant_key("MO-1"), merchant_key("MO-2")
OLGA = Origin("olga", Source.OPERATOR, reason="The file was wrong")
YESTERDAY, TOMORROW = TODAY - timedelta(days=1), TODAY + timedelta(days=1)


@pytest.fixture(autouse=True)
def _verify_everything(service: Service) -> Iterator[None]:
    yield
    assert verify(service.ledger) == []


def undo(runs: RunLedger, run_id: UUID) -> Run:
    return execute_run(runs, accept_undo(runs, run_id, OLGA).run)


def found(runs: RunLedger, run: Run) -> Run:
    stored = runs.find(run.run_id)
    assert stored
    return stored


# The undo as a run


def test_undo_is_a_run_with_one_commit_and_a_reason(here: RunLedger) -> None:
    run = process(here, file_with("a", ONE, TWO))
    undone = undo(here, run.run_id)
    assert (undone.input, undone.source, undone.actor) == (Undo(run.run_id, run.channel), "operator", "olga")
    assert (undone.reason, undone.counts, undone.is_counted) == (OLGA.reason, OutcomeCounts(deleted=2), False)
    last = history_of(here.ledger, ONE)[-1]
    assert (last.type, last.cause, last.reason, last.run_id) == (
        "OfferDeleted",
        "undo",
        OLGA.reason,
        str(undone.run_id),
    )
    assert found(here, run).undone_by == undone.run_id
    assert found(here, undone) == undone


def test_repeated_undo_returns_the_same_run(here: RunLedger, there: RunLedger) -> None:
    run = process(here, file_with("a"))
    accepted = accept_undo(here, run.run_id, OLGA)
    assert not accepted.replayed
    running = accept_undo(there, run.run_id, OLGA)
    assert (running.run, running.replayed) == (accepted.run, True)
    finished = execute_run(here, accepted.run)
    repeated = accept_undo(there, run.run_id, OLGA)
    assert (repeated.run, repeated.replayed) == (finished, True)


def test_second_undo_names_the_undo_of_the_undo(here: RunLedger) -> None:
    run = process(here, file_with("a"))
    again = undo(here, undo(here, run.run_id).run_id)
    with pytest.raises(NothingToUndo, match=f"undo that run instead|{again.run_id}"):
        accept_undo(here, run.run_id, OLGA)
    assert undo(here, again.run_id).counts == OutcomeCounts(deleted=1)


def test_undo_needs_the_only_active_run_of_its_scope(here: RunLedger) -> None:
    run = run_batch(here.ledger, Operation.INSERT, [item()])
    other = accepted_run(here)
    with pytest.raises(RunInProgress) as refused:
        accept_undo(here, run.run_id, OLGA)
    assert refused.value.run_id == other.run_id
    here.fail(other, PROBLEM)
    undo_run = accept_undo(here, run.run_id, OLGA).run
    with pytest.raises(RunInProgress):
        accepted_run(here)
    execute_run(here, undo_run)


def test_unfinished_unknown_and_failed_runs_are_refused(here: RunLedger) -> None:
    run = accepted_run(here)
    for refuse in (preview_undo, lambda runs, run_id: accept_undo(runs, run_id, OLGA)):
        with pytest.raises(RunInProgress):
            refuse(here, run.run_id)
        with pytest.raises(UnknownRun):
            refuse(here, uuid4())
    here.fail(run, PROBLEM)
    with pytest.raises(NothingToUndo):
        accept_undo(here, run.run_id, OLGA)


def test_run_without_changes_has_nothing_to_undo(here: RunLedger) -> None:
    process(here, file_with("a"), YESTERDAY)
    run = process(here, file_with("a"))
    for refuse in (preview_undo, lambda runs, run_id: accept_undo(runs, run_id, OLGA)):
        with pytest.raises(NothingToUndo):
            refuse(here, run.run_id)
    assert count_rows(here.ledger, "runs") == 2


# Later changes


def test_offers_changed_since_are_kept(here: RunLedger, service: Service) -> None:
    process(here, file_with("a", ONE, TWO), YESTERDAY)
    run = process(here, file_with("b", ONE, TWO))
    request = put(ONE, "c")
    service.single_requests.execute([request])
    undone = undo(here, run.run_id)
    assert undone.counts == OutcomeCounts(updated=1, kept=1)
    (kept,) = outcome_of(here.ledger, undone).kept
    assert (kept.external_id, kept.messages) == (
        "MO-1",
        (f"Offer has been changed since by request {request.trace_id}",),
    )
    assert [status_and_name(here.ledger, key) for key in (ONE, TWO)] == [("active", "c"), ("active", "a")]


def test_kept_offer_names_the_later_run(here: RunLedger) -> None:
    run = process(here, file_with("a", ONE, TWO))
    later = process(here, file_with("b", ONE), TOMORROW)
    undone = undo(here, run.run_id)
    (kept,) = outcome_of(here.ledger, undone).kept
    assert kept.messages == (f"Offer has been changed since by run {later.run_id}",)


def test_undo_fails_if_nothing_is_left_when_it_starts(here: RunLedger, service: Service) -> None:
    run = process(here, file_with("a"))
    accepted = accept_undo(here, run.run_id, OLGA).run
    service.single_requests.execute([delete(ONE)])
    failed = execute_run(here, accepted)
    assert (failed.state, failed.problem and failed.problem.type) == (RunState.FAILED, "nothing-to-undo")
    assert failed.problem
    assert (failed.problem.status, found(here, run).undone_by) == (409, None)
    service.single_requests.execute([put(ONE, "a")])
    with pytest.raises(NothingToUndo):
        accept_undo(here, run.run_id, OLGA)


# Contents


def test_undo_brings_back_contents_with_their_images(here: RunLedger) -> None:
    process(here, file_with(PICTURE, ONE, TWO), YESTERDAY)
    run = process(here, file_with("b", ONE, TWO))
    images = count_rows(here.ledger, "images")
    undo(here, run.run_id)
    assert [content_of(here.ledger, key) for key in (ONE, TWO)] == [content(key, PICTURE) for key in (ONE, TWO)]
    assert count_rows(here.ledger, "images") == images
    assert process(here, file_with(PICTURE, ONE, TWO), TOMORROW).counts == OutcomeCounts(unchanged=2)


def test_contents_are_read_in_parts(here: RunLedger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(undo_ledger, "OFFERS_PER_READ", 2)
    items = [item(f"TP-{number}") for number in range(5)]
    run_batch(here.ledger, Operation.SYNCHRONIZE, items)
    changed = [item(f"TP-{number}", headline="Other") for number in range(1, 6)]
    run = run_batch(here.ledger, Operation.SYNCHRONIZE, changed)
    steps: list[tuple[int, int]] = []
    accepted = here.claim(accept_undo(here, run.run_id, OLGA).run.run_id)
    assert isinstance(accepted.input, Undo)
    undone = execute_undo(here, accepted, accepted.input, lambda done, total: steps.append((done, total)))
    assert undone.counts == OutcomeCounts(updated=5, deleted=1)
    assert steps == [(2, 6), (4, 6), (6, 6)]
    assert offer_versions(here.ledger) == {"TP-0": 3} | {f"TP-{n}": 3 for n in range(1, 5)} | {"TP-5": 2}
    assert run_batch(here.ledger, Operation.SYNCHRONIZE, items).counts == OutcomeCounts(unchanged=5)


# Slots and files


def test_undo_releases_the_slot(here: RunLedger) -> None:
    here.ledger.handle(SetPartner("tidepool", synchronize_per_day=1), OPERATOR)
    run = run_batch(here.ledger, Operation.SYNCHRONIZE, [item()])
    undone = undo(here, run.run_id)
    assert not found(here, run).is_counted
    undo(here, undone.run_id)
    assert found(here, run).is_counted
    assert found(here, run).undone_by is None


def test_undone_file_can_be_resent(here: RunLedger) -> None:
    process(here, file_with("a"), YESTERDAY)
    first = process(here, file_with("b"))
    undo(here, first.run_id)
    assert status_and_name(here.ledger, ONE) == ("active", "a")
    again = process(here, file_with("b"))
    assert (again.run_id != first.run_id, again.counts) == (True, OutcomeCounts(updated=1))
    assert accept(here, file_with("b")).run == again


def test_undone_file_gives_the_newest_date_back(here: RunLedger) -> None:
    yesterday = process(here, file_with("a"), YESTERDAY)
    today = process(here, file_with("b"))
    with pytest.raises(FileSuperseded):
        accept(here, file_with("c"), YESTERDAY)
    undo(here, today.run_id)
    assert accept(here, file_with("a"), YESTERDAY).run == yesterday
    assert process(here, file_with("c"), YESTERDAY).counts == OutcomeCounts(updated=1)


def test_undo_of_undos_alternates_which_run_is_in_effect(here: RunLedger) -> None:
    run = process(here, file_with("a"))
    chain = [run]
    for _ in range(4):
        chain.append(undo(here, chain[-1].run_id))
        stored = [found(here, member) for member in chain]
        ends = [member.undone_by for member in stored]
        in_effect = [end is None for end in ends]
        assert in_effect == [(len(chain) - number) % 2 == 1 for number in range(len(chain))]
        assert stored[0].is_counted is in_effect[0]


# Owners


def test_other_owner_takes_an_undo_over(here: RunLedger, there: RunLedger, clock: Clock) -> None:
    run = process(here, file_with("a"))
    accepted = accept_undo(here, run.run_id, OLGA).run
    clock.move(seconds=LEASE.total_seconds())
    assert [overdue.run_id for overdue in there.find_overdue()] == [accepted.run_id]
    claimed = there.claim(accepted.run_id)
    assert execute_run(there, claimed).counts == OutcomeCounts(deleted=1)
    with pytest.raises(LeaseLost):
        execute_undo(here, accepted, Undo(run.run_id, run.channel), no_progress)
