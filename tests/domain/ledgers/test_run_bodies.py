"""Tests of stored request bodies, from their upload to the end of the run."""

from pathlib import Path
from uuid import uuid4

import pytest
from msgspec.structs import replace

from domain.ledgers.ledger import StorageError
from domain.ledgers.run_ledger import RunLedger
from tests.support.harness import Clock
from tests.support.histories.runs import FEED, LEASE, accepted_run, compressed_blocks, count_rows, open_ledger, request

# Storing


def test_body_returns_chunks_unchanged_and_in_order(here: RunLedger) -> None:
    run_id = uuid4()
    here.store_body(run_id, 0, compressed_blocks(b"one", b""))
    here.store_body(run_id, 2, compressed_blocks(bytes(range(256))))
    assert list(here.body(run_id)) == [b"one", b"", bytes(range(256))]


def test_body_orders_chunks_by_number_not_by_text(here: RunLedger) -> None:
    run_id = uuid4()
    blocks = [b"%d" % number for number in range(23)]
    for number, block in enumerate(blocks):
        here.store_body(run_id, number, compressed_blocks(block))
    assert list(here.body(run_id)) == blocks


def test_bodies_of_different_runs_are_separate(here: RunLedger) -> None:
    one, other = uuid4(), uuid4()
    here.store_body(one, 0, compressed_blocks(b"one"))
    here.store_body(other, 0, compressed_blocks(b"other"))
    assert (list(here.body(one)), list(here.body(other))) == ([b"one"], [b"other"])


def test_body_can_be_read_repeatedly_by_any_owner(here: RunLedger) -> None:
    run = accepted_run(here, b"body")
    there = RunLedger(here.ledger, "there", LEASE)
    assert [list(runs.body(run.run_id)) for runs in (here, here, there)] == [[b"body"]] * 3


def test_accepted_run_has_the_body_stored_before(here: RunLedger) -> None:
    run_request = request(b"stored before")
    here.store_body(run_request.run_id, 0, compressed_blocks(b"stored ", b"before"))
    here.accept(run_request, FEED)
    assert b"".join(here.body(run_request.run_id)) == b"stored before"


# Restart


def test_accepted_run_and_body_survive_a_restart(tmp_path: Path, clock: Clock) -> None:
    with open_ledger(tmp_path / "ledger.db", clock) as ledger:
        run = accepted_run(RunLedger(ledger, "here", LEASE), b"body")
    with open_ledger(tmp_path / "ledger.db", clock) as ledger:
        runs = RunLedger(ledger, "there", LEASE)
        assert runs.find(run.run_id) == run
        assert list(runs.body(run.run_id)) == [b"body"]
        clock.move(seconds=LEASE.total_seconds())
        assert runs.claim(run.run_id).lease.owner == "there"


# Deletion


def test_body_without_a_run_can_be_dropped(here: RunLedger) -> None:
    run_id = uuid4()
    here.store_body(run_id, 0, compressed_blocks(b"one", b"other"))
    here.drop_body(run_id)
    assert count_rows(here.ledger, "run_bodies") == 0


def test_body_of_an_accepted_run_can_not_be_dropped(here: RunLedger) -> None:
    run = accepted_run(here, b"body")
    here.drop_body(run.run_id)
    assert list(here.body(run.run_id)) == [b"body"]


def test_uploads_without_a_run_are_those_not_accepted(here: RunLedger) -> None:
    accepted_run(here, b"body")
    run_id = uuid4()
    here.store_body(run_id, 0, compressed_blocks(b"one", b"other"))
    assert here.unaccepted_uploads() == {run_id: 2}


def test_run_with_missing_chunks_is_not_accepted(here: RunLedger) -> None:
    run_request = replace(request(b"one, other"), body_chunks=2)
    here.store_body(run_request.run_id, 0, compressed_blocks(b"one"))
    with pytest.raises(StorageError):
        accepted_run(here, b"", run_request)
    assert count_rows(here.ledger, "runs") == 0
