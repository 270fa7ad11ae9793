"""An offers file is carried out once, in its place in time, by what is known of its offers at the last moment."""

from collections.abc import Iterator
from datetime import timedelta

import pytest

from api.service import Service
from domain.access.partner import SetPartner
from domain.ledgers.ledger import OfferLedger
from domain.ledgers.run_ledger import RunLedger
from domain.ledgers.single_request_ledger import SingleRequestLedger
from domain.refusals import FileSuperseded, LeaseLost, RunInProgress, UnknownPartner
from domain.runs.run import OutcomeCounts, RunState
from domain.values import MissingFromFile
from projections.maintenance.verification import verify
from tests.support.examples import PARTNER, batch, item
from tests.support.harness import OPERATOR, Clock, carry_out, outcome_of
from tests.support.histories.offers_files import (
    DUMP,
    PICTURE,
    TODAY,
    accept,
    document,
    history_of,
    once_judged,
    placed,
    process,
    put,
    record,
    says,
    set_missing,
)
from tests.support.histories.runs import LEASE, PROBLEM, accepted_batch, rows
from tests.support.histories.single_requests import SHOP, left, merchant_key, set_quota, status

ONE, TWO, THREE = merchant_key("MO-1"), merchant_key("MO-2"), merchant_key("MO-1", "M-2")
YESTERDAY, TOMORROW = TODAY - timedelta(days=1), TODAY + timedelta(days=1)
OTHER_PARTNER = "kelp"


@pytest.fixture
def traces(service: Service) -> SingleRequestLedger:
    set_quota(service.ledger, 0)
    return service.single_requests


@pytest.fixture(autouse=True)
def _everything_agrees(service: Service) -> Iterator[None]:
    yield
    assert verify(service.ledger) == []


def everything(ledger: OfferLedger) -> dict[str, int]:
    """How much there is of all that a file could leave behind."""
    return {**left(ledger), **{table: rows(ledger, table) for table in ("runs", "run_outcomes", "run_bodies")}}


# The same request


def test_the_same_file_again_is_the_same_run(here: RunLedger, there: RunLedger) -> None:
    first = process(here, says("a"))
    before = everything(here.ledger)
    for runs in (here, there):
        again = accept(runs, says("a"))
        assert (again.run, again.replayed) == (first, True)
    assert everything(here.ledger) == before


def test_the_same_file_again_is_the_same_run_while_that_goes_on(here: RunLedger, there: RunLedger) -> None:
    first = accept(here, says("a"))
    again = accept(there, says("a"))
    assert (again.run, first.replayed, again.replayed) == (first.run, False, True)


def test_a_file_of_the_same_name_with_other_content_is_another_run(here: RunLedger) -> None:
    first, second = process(here, says("a")), process(here, says("b"))
    assert first.input == second.input
    assert (first.counts, second.counts) == (OutcomeCounts(created=1), OutcomeCounts(updated=1))
    assert status(here.ledger, ONE) == ("active", "b")


def test_an_earlier_file_of_the_same_name_is_answered_and_not_carried_out_again(here: RunLedger) -> None:
    first = process(here, says("a"))
    process(here, says("b"))
    before = everything(here.ledger)
    assert process(here, says("a")) == first
    assert everything(here.ledger) == before
    assert status(here.ledger, ONE) == ("active", "b")


def test_the_same_content_under_another_name_is_another_run_that_changes_nothing(here: RunLedger) -> None:
    first = process(here, says(PICTURE))
    before = left(here.ledger)
    second = process(here, says(PICTURE), TOMORROW)
    assert (second.run_id != first.run_id, second.counts) == (True, OutcomeCounts(unchanged=1))
    assert left(here.ledger) == before


def test_the_same_file_of_another_partner_is_another_run(here: RunLedger) -> None:
    here.ledger.handle(SetPartner(OTHER_PARTNER), OPERATOR)
    process(here, says("a"))
    other = process(here, says("a"), YESTERDAY, OTHER_PARTNER)
    assert other.counts == OutcomeCounts(created=1)
    assert status(here.ledger, merchant_key(partner=OTHER_PARTNER)) == ("active", "a")
    assert accept(here, says("a"), YESTERDAY, OTHER_PARTNER).run == other


def test_nothing_of_a_file_of_an_unknown_partner_is_there(here: RunLedger) -> None:
    before = everything(here.ledger)
    with pytest.raises(UnknownPartner):
        accept(here, says("a"), partner="nobody")
    assert everything(here.ledger) == before


# Its place in time


def test_a_file_older_than_the_newest_is_refused_and_leaves_nothing(here: RunLedger) -> None:
    process(here, says("a"))
    before = everything(here.ledger)
    with pytest.raises(FileSuperseded):
        accept(here, says("b"), YESTERDAY)
    assert everything(here.ledger) == before


def test_a_file_that_was_refused_is_no_request_that_can_be_answered(here: RunLedger) -> None:
    process(here, says("a"))
    for _ in range(2):
        with pytest.raises(FileSuperseded):
            accept(here, says("b"), YESTERDAY)


def test_files_of_one_day_follow_each_other_without_limit(here: RunLedger) -> None:
    runs = [process(here, says(name)) for name in "abcd"]
    assert [run.counts for run in runs] == [OutcomeCounts(created=1)] + [OutcomeCounts(updated=1)] * 3


def test_an_old_file_that_was_processed_is_still_answered(here: RunLedger) -> None:
    old = process(here, says("a"), YESTERDAY)
    process(here, says("b"))
    assert process(here, says("a"), YESTERDAY) == old
    assert status(here.ledger, ONE) == ("active", "b")


def test_answering_an_old_file_does_not_make_it_the_newest(here: RunLedger) -> None:
    process(here, says("a"), YESTERDAY)
    process(here, says("b"))
    process(here, says("a"), YESTERDAY)
    with pytest.raises(FileSuperseded):
        accept(here, says("c"), YESTERDAY)


def test_a_failed_file_is_not_the_newest(here: RunLedger) -> None:
    here.fail(accept(here, says("a"), TOMORROW).run, PROBLEM)
    assert process(here, says("b"), YESTERDAY).counts == OutcomeCounts(created=1)


def test_a_failed_file_may_be_sent_again(here: RunLedger) -> None:
    failed = here.fail(accept(here, says("a")).run, PROBLEM)
    again = accept(here, says("a"))
    assert (again.replayed, again.run.run_id != failed.run_id) == (False, True)
    assert carry_out(here, again.run).counts == OutcomeCounts(created=1)
    assert here.find(failed.run_id) == failed


def test_a_failed_file_may_be_too_old_by_now(here: RunLedger) -> None:
    here.fail(accept(here, says("a"), YESTERDAY).run, PROBLEM)
    process(here, says("b"))
    with pytest.raises(FileSuperseded):
        accept(here, says("a"), YESTERDAY)


def test_a_file_whose_records_all_fail_is_answered_as_any_other(here: RunLedger) -> None:
    sent = document([record(ONE, "NO-SUCH-STATUS")])
    run = process(here, sent)
    assert (run.state, run.counts) == (RunState.COMPLETED, OutcomeCounts(failed=1))
    assert accept(here, sent).run == run


def test_a_file_without_a_record_in_order_keeps_no_older_one_out(here: RunLedger) -> None:
    process(here, document([record(ONE, "NO-SUCH-STATUS")]), TOMORROW)
    assert process(here, says("a"), YESTERDAY).counts == OutcomeCounts(created=1)


@pytest.mark.parametrize(("days", "warned"), [(-1, False), (0, False), (1, False), (2, True), (4000, True)])
def test_a_date_ahead_is_warned_of(here: RunLedger, days: int, warned: bool) -> None:  # noqa: FBT001
    run = process(here, says("a"), TODAY + timedelta(days=days))
    assert any("ahead" in message for message in run.messages) is warned


# One run at a time


def test_a_partner_has_one_unfinished_file(here: RunLedger, there: RunLedger) -> None:
    run = accept(here, says("a")).run
    for runs, dated in ((here, TODAY), (there, TOMORROW), (there, YESTERDAY)):
        with pytest.raises(RunInProgress) as refused:
            accept(runs, says("b"), dated)
        assert refused.value.run_id == run.run_id
    carry_out(here, run)
    assert process(there, says("b")).counts == OutcomeCounts(updated=1)


def test_a_batch_and_a_file_may_go_together(here: RunLedger) -> None:
    in_batch = accepted_batch(here, batch("Synchronize", [item("MO-1")]))
    in_file = accept(here, says("a")).run
    assert carry_out(here, in_file).counts == OutcomeCounts(created=1)
    assert carry_out(here, in_batch).counts == OutcomeCounts(created=1)
    # Each has its own offers: neither has paused or missed one of the other's.
    again = accepted_batch(here, batch("Synchronize", [item("MO-2")]))
    assert carry_out(here, again).counts == OutcomeCounts(created=1, paused=1)
    assert process(here, document([])).counts == OutcomeCounts(discrepancy=1)
    assert status(here.ledger, ONE) == ("active", "a")


# In whose hands it is


def test_who_has_lost_a_file_stores_nothing_of_it(here: RunLedger, there: RunLedger, clock: Clock) -> None:
    set_missing(here.ledger, MissingFromFile.DELETE)
    process(here, says("a", TWO), YESTERDAY)
    run = accept(here, says(PICTURE, ONE)).run

    def take_over() -> None:
        clock.move(seconds=LEASE.total_seconds())
        there.claim(run.run_id)

    before = everything(here.ledger)
    with pytest.raises(LeaseLost):
        carry_out(here, run, once_judged(take_over))
    assert everything(here.ledger) == before
    taken = there.find(run.run_id)
    assert taken
    assert (taken.state, taken.lease.owner, taken.lease.fence) == (RunState.RUNNING, "there", 2)
    assert carry_out(there, taken).counts == OutcomeCounts(created=1, deleted=1)


def test_a_file_ends_once(here: RunLedger) -> None:
    run = accept(here, says("a")).run
    ended = carry_out(here, run)
    before = everything(here.ledger)
    for again in (run, ended):
        with pytest.raises(LeaseLost):
            here.decide_and_complete(again, lambda *_: pytest.fail("it has been decided"))
    assert everything(here.ledger) == before
    assert here.find(run.run_id) == ended


# The record


def test_the_events_of_a_file_are_one_commit_that_says_who_and_why(
    here: RunLedger, traces: SingleRequestLedger
) -> None:
    set_missing(here.ledger, MissingFromFile.DELETE)
    traces.execute([put(key, "a") for key in (ONE, TWO, THREE)])
    run = process(here, document([record(ONE, "UPDATED", "b"), record(TWO, "DELETED")]))
    with here.ledger.recorder.read() as tx:
        (commit,) = tx.execute("SELECT * FROM commits WHERE run_id = ?", (str(run.run_id),)).fetchall()
    assert (commit["partner"], commit["actor"], commit["source"]) == (PARTNER, DUMP.actor, "file")
    assert (commit["event_count"], commit["trace_id"]) == (3, None)
    assert run.position == commit["first_position"] + 2 == here.ledger.recorder.max_notification_id()
    made = [history_of(here.ledger, key)[-1] for key in (ONE, TWO, THREE)]
    assert [(event.type, event.version, event.cause) for event in made] == [
        ("OfferUpdated", 2, None),
        ("OfferDeleted", 2, None),
        ("OfferDeleted", 2, "absent-from-file"),
    ]
    assert {(event.run_id, event.trace_id, event.source) for event in made} == {(str(run.run_id), None, "file")}
    assert {event.source for event in (history_of(here.ledger, key)[0] for key in (ONE, TWO))} == {SHOP.source}


def test_a_file_that_changes_nothing_has_an_outcome_but_no_commit(here: RunLedger) -> None:
    process(here, says("a", ONE, TWO), YESTERDAY)
    before = left(here.ledger)
    run = process(here, document([record(ONE, "NO-CHANGE"), record(THREE, "DELETED"), 7]))
    assert run.counts == OutcomeCounts(unchanged=1, unknown=1, discrepancy=1, failed=1)
    assert placed(outcome_of(here.ledger, run)) == {
        "unchanged": [("M-1", "MO-1")],
        "unknown": [("M-2", "MO-1")],
        "discrepancy": [("M-1", "MO-2")],
        "failed": [(None, None)],
    }
    assert left(here.ledger) == before
    assert rows(here.ledger, "run_bodies") == 0
