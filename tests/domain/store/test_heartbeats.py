"""Any process can read the progress of a run while it is executed."""

from contextlib import closing

import apsw
import pytest

from api.settings import Settings
from domain.ledgers.run_ledger import RunLedger
from domain.runs.run import Progress, Run
from domain.store.sqlite.driver import connect
from domain.store.sqlite.files import LEASES_SUFFIX
from tests.support.engine import only_sqlite
from tests.support.harness import Clock
from tests.support.histories.runs import LEASE, PROBLEM, accepted_run, plan, valid_item

HALF = Progress(50, 100)


def claimed_run(runs: RunLedger) -> Run:
    return runs.claim(accepted_run(runs).run_id)


def test_progress_is_unknown_until_the_owner_reports_it(here: RunLedger, there: RunLedger) -> None:
    run = claimed_run(here)
    assert there.progress(run) is None
    here.renew(run)
    assert there.progress(run) is None
    here.renew(run, Progress(0, 100))
    assert there.progress(run) == Progress(0, 100)


def test_progress_is_the_last_report_of_the_owner(here: RunLedger, there: RunLedger) -> None:
    run = claimed_run(here)
    for progress in (Progress(1, 100), HALF):
        here.renew(run, progress)
    assert there.progress(run) == HALF
    here.renew(run)
    assert there.progress(run) == HALF


def test_progress_report_renews_the_lease(here: RunLedger, there: RunLedger, clock: Clock) -> None:
    run = claimed_run(here)
    clock.move(seconds=9)
    here.renew(run, HALF)
    clock.move(seconds=9)
    assert there.find_overdue() == []


def test_progress_after_takeover_is_that_of_the_new_owner(here: RunLedger, there: RunLedger, clock: Clock) -> None:
    run = claimed_run(here)
    here.renew(run, HALF)
    clock.move(seconds=LEASE.total_seconds())
    taken_over = there.claim(run.run_id)
    assert here.progress(taken_over) is None
    there.renew(taken_over, Progress(1, 100))
    assert here.progress(taken_over) == Progress(1, 100)


def test_progress_of_an_unclaimed_run_is_unknown(here: RunLedger, there: RunLedger) -> None:
    run = accepted_run(here)
    here.renew(run, HALF)
    assert there.progress(run) is None


@pytest.mark.parametrize("fails", [False, True])
def test_finished_run_has_no_progress(here: RunLedger, there: RunLedger, fails: bool) -> None:
    run = claimed_run(here)
    here.renew(run, HALF)
    finished = here.fail(run, PROBLEM) if fails else here.complete(run, plan(here, run, [valid_item("TP-1")]), "digest")
    # `run` is the state that another process may have read before the end.
    assert (there.progress(finished), there.progress(run)) == (None, None)


def leases(settings: Settings) -> apsw.Connection:
    return connect(f"{settings.database}{LEASES_SUFFIX}")


@only_sqlite
def test_leases_database_of_an_older_program_gets_new_tables(
    settings: Settings, here: RunLedger, there: RunLedger
) -> None:
    with closing(leases(settings)) as before:
        before.execute(
            "CREATE TABLE heartbeats (run_id TEXT PRIMARY KEY, fence INTEGER NOT NULL, lease_until INTEGER NOT NULL)"
        )
    run = claimed_run(here)
    here.renew(run, HALF)
    assert there.progress(run) == HALF
    # The older program can still write to it, for example after a backup is restored.
    with closing(leases(settings)) as after:
        after.execute("INSERT INTO heartbeats VALUES (?, ?, ?)", ("another run", 1, 1))
