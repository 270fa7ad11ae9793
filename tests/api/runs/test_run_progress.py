"""How far is a run that is carried out, by whichever process? Whoever may see the run may ask."""

import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from datetime import timedelta

import pytest

from api.service import Service
from api.settings import Settings
from domain.ledgers.ledger import OfferLedger
from domain.ledgers.run_ledger import RunLedger
from domain.runs.run import Progress, Run
from domain.store.sqlite.connections import LEASES_SUFFIX
from tests.support.calls.paging import items_of
from tests.support.calls.stalled_runs import accept_elsewhere, fail_elsewhere, other_owner, run_path
from tests.support.engine import only_sqlite
from tests.support.examples import batch, item
from tests.support.harness import Caller, execute_run
from tests.support.histories.offers_files import accept, file_with
from tests.support.histories.runs import accepted_batch

SHORT_LEASE = timedelta(seconds=0.4)
BEATS_SECONDS = 0.3
"""In which a lease as short as that is renewed more than once."""
PATIENCE_SECONDS = 30
INSERT = batch("Insert", [item("TP-1"), item("TP-2")])


@pytest.fixture
def here(ledger: OfferLedger) -> RunLedger:
    return RunLedger(ledger, "here", SHORT_LEASE)


@pytest.fixture
def there(ledger: OfferLedger) -> RunLedger:
    return RunLedger(ledger, "there", SHORT_LEASE)


def told(runs: RunLedger, run: Run) -> Progress:
    """How far the run is, as soon as somebody has told that."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        if progress := runs.progress(run):
            return progress
        time.sleep(0.01)
    raise AssertionError("nobody tells how far the run is")


# While it is carried out


@pytest.mark.parametrize(
    ("accepted", "total"),
    [(lambda runs: accepted_batch(runs, INSERT), 2), (lambda runs: accept(runs, file_with("a")).run, 1)],
    ids=["a batch", "an offers file"],
)
def test_who_carries_a_run_out_tells_everybody_how_far_it_is(
    here: RunLedger, there: RunLedger, accepted: Callable[[RunLedger], Run], total: int
) -> None:
    run = here.claim(accepted(here).run_id)
    seen: list[tuple[Progress, tuple[int, int]]] = []
    ended = execute_run(here, run, lambda done, of: seen.append((told(there, run), (done, of))))
    # Who watches is told the newest, the others what was told last.
    assert (seen[0], seen[-1][1]) == ((Progress(0, total), (0, total)), (total, total))
    assert there.progress(ended) is None


@only_sqlite
def test_who_can_not_tell_how_far_it_is_goes_on_with_the_run(
    here: RunLedger, there: RunLedger, settings: Settings
) -> None:
    run = here.claim(accepted_batch(here, INSERT).run_id)
    seen: list[Progress] = []

    def lose_it_for_a_while(done: int, _total: int) -> None:
        if done == 0:
            with closing(sqlite3.connect(f"{settings.database}{LEASES_SUFFIX}")) as leases:
                leases.execute("ALTER TABLE progress RENAME TO mislaid")
                time.sleep(BEATS_SECONDS)
                leases.execute("ALTER TABLE mislaid RENAME TO progress")
            seen.append(told(there, run))

    assert execute_run(here, run, lose_it_for_a_while).is_finished
    assert seen == [Progress(0, 2)]


# Who asks


def test_a_run_says_how_far_it_is_from_when_that_is_known_until_it_has_ended(partner: Caller, service: Service) -> None:
    owner = other_owner(service)
    accepted = accept_elsewhere(service, INSERT)
    path = run_path(accepted.run_id)
    assert partner.get(path).json()["progress"] is None
    run = owner.claim(accepted.run_id)
    assert partner.get(path).json()["progress"] is None
    owner.renew(run, Progress(500, 2000))
    assert partner.get(path).json()["progress"] == {"done": 500, "total": 2000}
    fail_elsewhere(service, run)
    assert partner.get(path).json()["progress"] is None


def test_the_list_of_runs_does_not_look_for_it(partner: Caller, service: Service) -> None:
    run = other_owner(service).claim(accept_elsewhere(service, INSERT).run_id)
    other_owner(service).renew(run, Progress(500, 2000))
    (listed,) = items_of(partner.get("/api/v1/runs"))
    assert "progress" not in listed
