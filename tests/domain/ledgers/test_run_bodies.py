"""The request of a run lies in the ledger until the run has ended."""

from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from msgspec.structs import replace

from domain.ledgers.ledger import OfferLedger, StorageError
from domain.ledgers.run_ledger import ABANDONED_AFTER, RunLedger
from tests.support.harness import Clock
from tests.support.histories.runs import FEED, LEASE, accepted, opened, packed, request, rows

LONG_AGO = (ABANDONED_AFTER + timedelta(microseconds=1)).total_seconds()


@pytest.fixture
def here(ledger: OfferLedger) -> RunLedger:
    return RunLedger(ledger, "here", LEASE)


# Storing


def test_chunks_come_back_as_they_were_sent_and_in_their_order(here: RunLedger) -> None:
    run_id = uuid4()
    here.store_body(run_id, 0, packed(b"one", b""))
    here.store_body(run_id, 2, packed(bytes(range(256))))
    assert list(here.body(run_id)) == [b"one", b"", bytes(range(256))]


def test_more_than_ten_chunks_keep_their_order(here: RunLedger) -> None:
    run_id = uuid4()
    blocks = [b"%d" % number for number in range(23)]
    for number, block in enumerate(blocks):
        here.store_body(run_id, number, packed(block))
    assert list(here.body(run_id)) == blocks


def test_bodies_are_kept_apart(here: RunLedger) -> None:
    one, other = uuid4(), uuid4()
    here.store_body(one, 0, packed(b"one"))
    here.store_body(other, 0, packed(b"other"))
    assert (list(here.body(one)), list(here.body(other))) == ([b"one"], [b"other"])


def test_a_body_can_be_read_again_and_by_others(here: RunLedger) -> None:
    run = accepted(here, b"body")
    there = RunLedger(here.ledger, "there", LEASE)
    assert [list(runs.body(run.run_id)) for runs in (here, here, there)] == [[b"body"]] * 3


def test_a_body_that_was_stored_before_becomes_that_of_the_run(here: RunLedger) -> None:
    asked = request(b"stored before")
    here.store_body(asked.run_id, 0, packed(b"stored ", b"before"))
    here.accept(asked, FEED)
    assert b"".join(here.body(asked.run_id)) == b"stored before"


# Surviving


def test_an_accepted_run_survives_with_its_body(tmp_path: Path, clock: Clock) -> None:
    with opened(tmp_path / "ledger.db", clock) as ledger:
        run = accepted(RunLedger(ledger, "here", LEASE), b"body")
    with opened(tmp_path / "ledger.db", clock) as ledger:
        runs = RunLedger(ledger, "there", LEASE)
        assert runs.find(run.run_id) == run
        assert list(runs.body(run.run_id)) == [b"body"]
        clock.move(seconds=LEASE.total_seconds())
        assert runs.claim(run.run_id).lease.owner == "there"


# Going


def test_what_was_stored_for_a_run_that_was_not_accepted_can_be_dropped(here: RunLedger) -> None:
    run_id = uuid4()
    here.store_body(run_id, 0, packed(b"one", b"other"))
    here.drop_body(run_id)
    assert rows(here.ledger, "run_bodies") == 0


def test_the_body_of_an_accepted_run_can_not_be_dropped(here: RunLedger) -> None:
    run = accepted(here, b"body")
    here.drop_body(run.run_id)
    assert list(here.body(run.run_id)) == [b"body"]


def test_a_body_that_has_waited_an_hour_for_its_run_is_abandoned(here: RunLedger, clock: Clock) -> None:
    run_id = uuid4()
    here.store_body(run_id, 0, packed(b"one", b"other"))
    clock.move(seconds=ABANDONED_AFTER.total_seconds())
    assert here.tidy() == 0
    clock.move(seconds=1e-6)
    assert here.tidy() == 2
    assert list(here.body(run_id)) == []


def test_a_body_to_which_something_still_comes_stays_however_long_it_takes(here: RunLedger, clock: Clock) -> None:
    run_id = uuid4()
    here.store_body(run_id, 0, packed(b"one"))
    clock.move(seconds=LONG_AGO)
    here.store_body(run_id, 1, packed(b"other"))
    assert here.tidy() == 0
    clock.move(seconds=LONG_AGO)
    assert here.tidy() == 2
    assert rows(here.ledger, "run_bodies") == 0


def test_a_body_of_which_a_part_is_missing_is_not_accepted(here: RunLedger) -> None:
    asked = replace(request(b"one, other"), body_chunks=2)
    here.store_body(asked.run_id, 0, packed(b"one"))
    with pytest.raises(StorageError):
        accepted(here, b"", asked)
    assert rows(here.ledger, "runs") == 0


def test_tidying_leaves_young_bodies_and_those_of_runs(here: RunLedger, clock: Clock) -> None:
    run, young, old = accepted(here, b"body"), uuid4(), uuid4()
    here.store_body(old, 0, packed(b"old"))
    clock.move(seconds=LONG_AGO)
    here.store_body(young, 0, packed(b"young"))
    assert here.tidy() == 1
    assert [list(here.body(run_id)) for run_id in (run.run_id, young, old)] == [[b"body"], [b"young"], []]
