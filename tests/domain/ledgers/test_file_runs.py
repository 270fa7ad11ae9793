"""Tests of runs of offers files: repeated files, their dates, leases and commits."""

from collections.abc import Iterator
from datetime import timedelta

import pytest

from api.service import Service
from domain.access.partner import SetPartner
from domain.ledgers.ledger import OfferLedger
from domain.ledgers.run_ledger import RunLedger
from domain.ledgers.single_request_ledger import SingleRequestLedger
from domain.refusals import (
    FileDatedAhead,
    FileOfAnotherPartner,
    FileSuperseded,
    LeaseLost,
    RunInProgress,
    UnknownPartner,
)
from domain.runs.run import OutcomeCounts, RunState
from domain.values import MissingFromFile
from projections.maintenance.verification import verify
from tests.support.examples import PARTNER, batch, item
from tests.support.harness import OPERATOR, Clock, execute_run, outcome_of
from tests.support.histories.offers_files import (
    DUMP,
    PICTURE,
    TODAY,
    accept,
    after_validation,
    document,
    file_with,
    history_of,
    ids_by_outcome,
    process,
    put,
    record,
    set_missing,
)
from tests.support.histories.runs import LEASE, PROBLEM, accepted_batch, count_rows, file_request, in_chunks
from tests.support.histories.single_requests import SHOP, merchant_key, set_quota, status_and_name, stored_rows

ONE, TWO, THREE = merchant_key("MO-1"), merchant_key("MO-2"), merchant_key("MO-1", "M-2")
YESTERDAY, TOMORROW = TODAY - timedelta(days=1), TODAY + timedelta(days=1)
OTHER_PARTNER = "kelp"


@pytest.fixture
def single_requests(service: Service) -> SingleRequestLedger:
    set_quota(service.ledger, 0)
    return service.single_requests


@pytest.fixture(autouse=True)
def _verify_projections(service: Service) -> Iterator[None]:
    yield
    assert verify(service.ledger) == []


def all_rows(ledger: OfferLedger) -> dict[str, int]:
    """Returns the row counts of all tables that a file can change."""
    return {
        **stored_rows(ledger),
        **{table: count_rows(ledger, table) for table in ("runs", "run_outcomes", "run_bodies")},
    }


# Repeated files


def test_repeated_file_returns_the_same_run(here: RunLedger, there: RunLedger) -> None:
    first = process(here, file_with("a"))
    before = all_rows(here.ledger)
    for runs in (here, there):
        repeated = accept(runs, file_with("a"))
        assert (repeated.run, repeated.replayed) == (first, True)
    assert all_rows(here.ledger) == before


def test_repeated_file_returns_the_unfinished_run(here: RunLedger, there: RunLedger) -> None:
    first = accept(here, file_with("a"))
    repeated = accept(there, file_with("a"))
    assert (repeated.run, first.replayed, repeated.replayed) == (first.run, False, True)


def test_file_with_same_name_and_other_content_is_another_run(here: RunLedger) -> None:
    first, second = process(here, file_with("a")), process(here, file_with("b"))
    assert first.input == second.input
    assert (first.counts, second.counts) == (OutcomeCounts(created=1), OutcomeCounts(updated=1))
    assert status_and_name(here.ledger, ONE) == ("active", "b")


def test_earlier_file_takes_effect_again_after_another(here: RunLedger) -> None:
    runs = [process(here, file_with(name)) for name in "ababb"]
    assert len({run.run_id for run in runs}) == 4
    assert [run.counts for run in runs] == [OutcomeCounts(created=1)] + [OutcomeCounts(updated=1)] * 4
    assert runs[4] == runs[3]
    assert status_and_name(here.ledger, ONE) == ("active", "b")


def test_earlier_file_takes_effect_again_after_a_renamed_one(here: RunLedger) -> None:
    process(here, file_with("a"))
    other = file_request(file_with("b"), TODAY, PARTNER, prefix="TIDEPOOL")
    execute_run(here, here.accept(other, DUMP, in_chunks(file_with("b"))).run)
    assert process(here, file_with("a")).counts == OutcomeCounts(updated=1)


def test_file_put_back_is_replayed_while_it_is_the_newest(here: RunLedger, there: RunLedger) -> None:
    for name in "ab":
        process(here, file_with(name))
    put_back = accept(here, file_with("a"))
    assert not put_back.replayed
    repeated = accept(there, file_with("a"))
    assert (repeated.run, repeated.replayed) == (put_back.run, True)
    finished = execute_run(here, put_back.run)
    assert process(there, file_with("a")) == finished


@pytest.mark.parametrize("put_back", ["ended", "failed"])
def test_earlier_file_waits_for_an_unfinished_one(here: RunLedger, put_back: str) -> None:
    first = process(here, file_with("a"))
    later = accept(here, file_with("b")).run
    with pytest.raises(RunInProgress):
        accept(here, file_with("a"))
    if put_back == "failed":
        here.fail(later, PROBLEM)
        assert process(here, file_with("a")) == first
    else:
        execute_run(here, later)
        assert process(here, file_with("a")).counts == OutcomeCounts(updated=1)


def test_failed_file_that_is_put_back_can_be_repeated(here: RunLedger) -> None:
    for name in "ab":
        process(here, file_with(name))
    for _ in range(2):
        here.fail(accept(here, file_with("a")).run, PROBLEM)
    assert process(here, file_with("a")).counts == OutcomeCounts(updated=1)


def test_refused_or_invalid_file_in_between_changes_nothing(here: RunLedger) -> None:
    first, invalid = process(here, file_with("a")), document([record(ONE, "NO-SUCH-STATUS")])
    with pytest.raises(FileSuperseded):
        accept(here, file_with("b"), YESTERDAY)
    failed = process(here, invalid, TOMORROW)
    before = all_rows(here.ledger)
    assert (process(here, file_with("a")), process(here, invalid, TOMORROW)) == (first, failed)
    assert all_rows(here.ledger) == before


def test_invalid_file_is_a_new_run_after_another_file(here: RunLedger) -> None:
    invalid = document([record(ONE, "NO-SUCH-STATUS")])
    first = process(here, invalid)
    process(here, file_with("a"))
    assert process(here, invalid).run_id != first.run_id


def test_file_of_another_partner_does_not_come_in_between(here: RunLedger) -> None:
    here.ledger.handle(SetPartner(OTHER_PARTNER), OPERATOR)
    first = process(here, file_with("a"))
    process(here, file_with("b"), partner=OTHER_PARTNER)
    assert process(here, file_with("a")) == first


def test_same_content_with_another_name_is_another_run(here: RunLedger) -> None:
    first = process(here, file_with(PICTURE))
    before = stored_rows(here.ledger)
    second = process(here, file_with(PICTURE), TOMORROW)
    assert (second.run_id != first.run_id, second.counts) == (True, OutcomeCounts(unchanged=1))
    assert stored_rows(here.ledger) == before


def test_same_file_of_another_partner_is_another_run(here: RunLedger) -> None:
    here.ledger.handle(SetPartner(OTHER_PARTNER), OPERATOR)
    process(here, file_with("a"))
    other = process(here, file_with("a"), YESTERDAY, OTHER_PARTNER)
    assert other.counts == OutcomeCounts(created=1)
    assert status_and_name(here.ledger, merchant_key(partner=OTHER_PARTNER)) == ("active", "a")
    assert accept(here, file_with("a"), YESTERDAY, OTHER_PARTNER).run == other


def test_file_of_an_unknown_partner_stores_nothing(here: RunLedger) -> None:
    before = all_rows(here.ledger)
    with pytest.raises(UnknownPartner):
        accept(here, file_with("a"), partner="nobody")
    assert all_rows(here.ledger) == before


# Dates


def test_file_older_than_the_newest_stores_nothing(here: RunLedger) -> None:
    process(here, file_with("a"))
    before = all_rows(here.ledger)
    with pytest.raises(FileSuperseded):
        accept(here, file_with("b"), YESTERDAY)
    assert all_rows(here.ledger) == before


def test_repeated_refused_file_is_refused(here: RunLedger) -> None:
    process(here, file_with("a"))
    for _ in range(2):
        with pytest.raises(FileSuperseded):
            accept(here, file_with("b"), YESTERDAY)


def test_files_of_one_day_have_no_run_limit(here: RunLedger) -> None:
    runs = [process(here, file_with(name)) for name in "abcd"]
    assert [run.counts for run in runs] == [OutcomeCounts(created=1)] + [OutcomeCounts(updated=1)] * 3


def test_repeated_file_of_an_earlier_day_is_refused(here: RunLedger) -> None:
    process(here, file_with("a"), YESTERDAY)
    process(here, file_with("b"))
    before = all_rows(here.ledger)
    with pytest.raises(FileSuperseded):
        accept(here, file_with("a"), YESTERDAY)
    assert all_rows(here.ledger) == before


def test_failed_file_is_not_the_newest(here: RunLedger) -> None:
    here.fail(accept(here, file_with("a"), TOMORROW).run, PROBLEM)
    assert process(here, file_with("b"), YESTERDAY).counts == OutcomeCounts(created=1)


def test_failed_file_can_be_repeated(here: RunLedger) -> None:
    failed = here.fail(accept(here, file_with("a")).run, PROBLEM)
    repeated = accept(here, file_with("a"))
    assert (repeated.replayed, repeated.run.run_id != failed.run_id) == (False, True)
    assert execute_run(here, repeated.run).counts == OutcomeCounts(created=1)
    assert here.find(failed.run_id) == failed


def test_repeated_failed_file_can_be_too_old(here: RunLedger) -> None:
    here.fail(accept(here, file_with("a"), YESTERDAY).run, PROBLEM)
    process(here, file_with("b"))
    with pytest.raises(FileSuperseded):
        accept(here, file_with("a"), YESTERDAY)


def test_file_without_valid_records_is_replayed_too(here: RunLedger) -> None:
    sent = document([record(ONE, "NO-SUCH-STATUS")])
    run = process(here, sent)
    assert (run.state, run.counts) == (RunState.COMPLETED, OutcomeCounts(failed=1))
    assert accept(here, sent).run == run


def test_file_without_valid_records_is_not_the_newest(here: RunLedger) -> None:
    process(here, document([record(ONE, "NO-SUCH-STATUS")]), TOMORROW)
    assert process(here, file_with("a"), YESTERDAY).counts == OutcomeCounts(created=1)


@pytest.mark.parametrize(("days", "has_warning"), [(-1, False), (0, False), (1, False), (2, True)])
def test_file_dated_in_the_future_has_a_warning(here: RunLedger, days: int, has_warning: bool) -> None:
    run = process(here, file_with("a"), TODAY + timedelta(days=days))
    assert any("in the future" in message for message in run.messages) is has_warning


@pytest.mark.parametrize("days", [3, 4000])
def test_file_dated_far_ahead_stores_nothing(here: RunLedger, days: int) -> None:
    before = all_rows(here.ledger)
    with pytest.raises(FileDatedAhead):
        accept(here, file_with("a"), TODAY + timedelta(days=days))
    assert all_rows(here.ledger) == before
    assert process(here, file_with("a"), YESTERDAY).counts == OutcomeCounts(created=1)


def test_file_from_a_clock_ahead_blocks_no_other_file(here: RunLedger, clock: Clock) -> None:
    process(here, file_with("a"))
    clock.move(days=5)
    ahead = process(here, file_with("b"), TODAY + timedelta(days=5))
    clock.move(days=-5)
    assert process(here, file_with("b"), TODAY + timedelta(days=5)) == ahead
    assert process(here, file_with("a")).counts == OutcomeCounts(updated=1)
    with pytest.raises(FileDatedAhead):
        accept(here, file_with("b"), TODAY + timedelta(days=5))


def test_file_name_of_another_partner_stores_nothing(here: RunLedger) -> None:
    here.ledger.handle(SetPartner("harbor-dining"), OPERATOR)
    before, sent = all_rows(here.ledger), file_with("a")
    with pytest.raises(FileOfAnotherPartner):
        here.accept(file_request(sent, TODAY, PARTNER, prefix="HarborDining"), DUMP, in_chunks(sent))
    assert all_rows(here.ledger) == before


# Simultaneous runs


def test_partner_has_one_unfinished_file(here: RunLedger, there: RunLedger) -> None:
    run = accept(here, file_with("a")).run
    for runs, dated in ((here, TODAY), (there, TOMORROW), (there, YESTERDAY)):
        with pytest.raises(RunInProgress) as refused:
            accept(runs, file_with("b"), dated)
        assert refused.value.run_id == run.run_id
    execute_run(here, run)
    assert process(there, file_with("b")).counts == OutcomeCounts(updated=1)


def test_batch_and_file_can_run_simultaneously(here: RunLedger) -> None:
    batch_run = accepted_batch(here, batch("Synchronize", [item("MO-1")]))
    file_run = accept(here, file_with("a")).run
    assert execute_run(here, file_run).counts == OutcomeCounts(created=1)
    assert execute_run(here, batch_run).counts == OutcomeCounts(created=1)
    # The channels have separate offers: neither run pauses or misses an offer of the other channel.
    second_batch = accepted_batch(here, batch("Synchronize", [item("MO-2")]))
    assert execute_run(here, second_batch).counts == OutcomeCounts(created=1, paused=1)
    assert process(here, document([])).counts == OutcomeCounts(discrepancy=1)
    assert status_and_name(here.ledger, ONE) == ("active", "a")


# Leases


def test_previous_owner_of_a_file_stores_nothing(here: RunLedger, there: RunLedger, clock: Clock) -> None:
    set_missing(here.ledger, MissingFromFile.DELETE)
    process(here, file_with("a", TWO), YESTERDAY)
    run = accept(here, file_with(PICTURE, ONE)).run

    def take_over() -> None:
        clock.move(seconds=LEASE.total_seconds())
        there.claim(run.run_id)

    before = all_rows(here.ledger)
    with pytest.raises(LeaseLost):
        execute_run(here, run, after_validation(take_over))
    assert all_rows(here.ledger) == before
    claimed = there.find(run.run_id)
    assert claimed
    assert (claimed.state, claimed.lease.owner, claimed.lease.fence) == (RunState.RUNNING, "there", 2)
    assert execute_run(there, claimed).counts == OutcomeCounts(created=1, deleted=1)


def test_file_completes_only_once(here: RunLedger) -> None:
    run = accept(here, file_with("a")).run
    finished = execute_run(here, run)
    before = all_rows(here.ledger)
    for version in (run, finished):
        with pytest.raises(LeaseLost):
            here.decide_and_complete(version, lambda *_: pytest.fail("a finished run must not be decided"))
    assert all_rows(here.ledger) == before
    assert here.find(run.run_id) == finished


# Commits


def test_file_has_one_commit_with_actor_and_cause(here: RunLedger, single_requests: SingleRequestLedger) -> None:
    set_missing(here.ledger, MissingFromFile.DELETE)
    single_requests.execute([put(key, "a") for key in (ONE, TWO, THREE)])
    run = process(here, document([record(ONE, "UPDATED", "b"), record(TWO, "DELETED")]))
    with here.ledger.recorder.read() as tx:
        (commit,) = tx.execute("SELECT * FROM commits WHERE run_id = ?", (str(run.run_id),)).fetchall()
    assert (commit["partner"], commit["actor"], commit["source"]) == (PARTNER, DUMP.actor, "file")
    assert (commit["event_count"], commit["trace_id"]) == (3, None)
    assert run.position == commit["first_position"] + 2 == here.ledger.recorder.max_notification_id()
    events = [history_of(here.ledger, key)[-1] for key in (ONE, TWO, THREE)]
    assert [(event.type, event.version, event.cause) for event in events] == [
        ("OfferUpdated", 2, None),
        ("OfferDeleted", 2, None),
        ("OfferDeleted", 2, "absent-from-file"),
    ]
    assert {(event.run_id, event.trace_id, event.source) for event in events} == {(str(run.run_id), None, "file")}
    assert {event.source for event in (history_of(here.ledger, key)[0] for key in (ONE, TWO))} == {SHOP.source}


def test_file_without_changes_has_an_outcome_but_no_commit(here: RunLedger) -> None:
    process(here, file_with("a", ONE, TWO), YESTERDAY)
    before = stored_rows(here.ledger)
    run = process(here, document([record(ONE, "NO-CHANGE"), record(THREE, "DELETED"), 7]))
    assert run.counts == OutcomeCounts(unchanged=1, unknown=1, discrepancy=1, failed=1)
    assert ids_by_outcome(outcome_of(here.ledger, run)) == {
        "unchanged": [("M-1", "MO-1")],
        "unknown": [("M-2", "MO-1")],
        "discrepancy": [("M-1", "MO-2")],
        "failed": [(None, None)],
    }
    assert stored_rows(here.ledger) == before
    assert count_rows(here.ledger, "run_bodies") == 0
