"""The progress of a running run. Every process can read it."""

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
from domain.store.sqlite.driver import connect
from domain.store.sqlite.files import LEASES_SUFFIX
from tests.support.calls.paging import items_of
from tests.support.calls.stalled_runs import accept_elsewhere, fail_elsewhere, other_owner, run_path
from tests.support.engine import only_sqlite
from tests.support.examples import batch, item
from tests.support.harness import Caller, execute_run
from tests.support.histories.offers_files import accept, file_with
from tests.support.histories.runs import accepted_batch
from tests.support.waiting import wait_until

SHORT_LEASE = timedelta(seconds=0.4)
RENEWALS_SECONDS = 0.3
"""Within this time, such a short lease is renewed more than once."""
INSERT = batch("Insert", [item("TP-1"), item("TP-2")])


@pytest.fixture
def here(ledger: OfferLedger) -> RunLedger:
    return RunLedger(ledger, "here", SHORT_LEASE)


@pytest.fixture
def there(ledger: OfferLedger) -> RunLedger:
    return RunLedger(ledger, "there", SHORT_LEASE)


def reported_progress(runs: RunLedger, run: Run) -> Progress:
    """Waits for the first progress of a run, and returns it."""
    progress = wait_until(lambda: runs.progress(run))
    assert progress
    return progress


# Execution


@pytest.mark.parametrize(
    ("accepted", "total"),
    [(lambda runs: accepted_batch(runs, INSERT), 2), (lambda runs: accept(runs, file_with("a")).run, 1)],
    ids=["a batch", "an offers file"],
)
def test_owner_of_a_run_reports_its_progress_to_all_processes(
    here: RunLedger, there: RunLedger, accepted: Callable[[RunLedger], Run], total: int
) -> None:
    run = here.claim(accepted(here).run_id)
    reports: list[tuple[Progress, tuple[int, int]]] = []
    finished = execute_run(here, run, lambda done, of: reports.append((reported_progress(there, run), (done, of))))
    # The callback gets the newest progress; other processes read the progress of the last renewal.
    assert (reports[0], reports[-1][1]) == ((Progress(0, total), (0, total)), (total, total))
    assert there.progress(finished) is None


@only_sqlite
def test_run_continues_if_its_progress_cannot_be_stored(here: RunLedger, there: RunLedger, settings: Settings) -> None:
    run = here.claim(accepted_batch(here, INSERT).run_id)
    reports: list[Progress] = []

    def rename_table_for_a_while(done: int, _total: int) -> None:
        if done == 0:
            with closing(connect(f"{settings.database}{LEASES_SUFFIX}")) as leases:
                leases.execute("ALTER TABLE progress RENAME TO hidden")
                time.sleep(RENEWALS_SECONDS)
                leases.execute("ALTER TABLE hidden RENAME TO progress")
            reports.append(reported_progress(there, run))

    assert execute_run(here, run, rename_table_for_a_while).is_finished
    assert reports == [Progress(0, 2)]


# HTTP


def test_run_has_progress_from_the_first_report_until_its_end(partner: Caller, service: Service) -> None:
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


def test_list_of_runs_has_no_progress(partner: Caller, service: Service) -> None:
    run = other_owner(service).claim(accept_elsewhere(service, INSERT).run_id)
    other_owner(service).renew(run, Progress(500, 2000))
    (run_document,) = items_of(partner.get("/api/v1/runs"))
    assert "progress" not in run_document
