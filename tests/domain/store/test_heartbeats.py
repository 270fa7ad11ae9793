"""How far a run is can be asked by everybody, while it is carried out."""

import sqlite3
from contextlib import closing

import pytest

from api.settings import Settings
from domain.ledgers.run_ledger import RunLedger
from domain.runs.run import Progress, Run
from domain.store.sqlite.connections import LEASES_SUFFIX
from tests.support.engine import only_sqlite
from tests.support.harness import Clock
from tests.support.histories.runs import LEASE, PROBLEM, accepted, plan, valid

HALF = Progress(50, 100)


def begun(runs: RunLedger) -> Run:
    return runs.claim(accepted(runs).run_id)


def test_nobody_knows_how_far_a_run_is_before_its_owner_has_told_that(here: RunLedger, there: RunLedger) -> None:
    run = begun(here)
    assert there.progress(run) is None
    here.renew(run)
    assert there.progress(run) is None
    here.renew(run, Progress(0, 100))
    assert there.progress(run) == Progress(0, 100)


def test_what_the_owner_has_told_last_counts(here: RunLedger, there: RunLedger) -> None:
    run = begun(here)
    for told in (Progress(1, 100), HALF):
        here.renew(run, told)
    assert there.progress(run) == HALF
    here.renew(run)
    assert there.progress(run) == HALF


def test_who_tells_how_far_it_is_holds_on_to_the_run_by_that(here: RunLedger, there: RunLedger, clock: Clock) -> None:
    run = begun(here)
    clock.move(seconds=9)
    here.renew(run, HALF)
    clock.move(seconds=9)
    assert there.overdue() == []


def test_a_run_that_has_another_owner_now_is_as_far_as_that_one_tells(
    here: RunLedger, there: RunLedger, clock: Clock
) -> None:
    run = begun(here)
    here.renew(run, HALF)
    clock.move(seconds=LEASE.total_seconds())
    taken_over = there.claim(run.run_id)
    assert here.progress(taken_over) is None
    there.renew(taken_over, Progress(1, 100))
    assert here.progress(taken_over) == Progress(1, 100)


def test_a_run_that_nobody_has_begun_is_nowhere(here: RunLedger, there: RunLedger) -> None:
    run = accepted(here)
    here.renew(run, HALF)
    assert there.progress(run) is None


@pytest.mark.parametrize("fails", [False, True])
def test_nothing_is_left_of_a_run_that_has_ended(here: RunLedger, there: RunLedger, fails: bool) -> None:  # noqa: FBT001
    run = begun(here)
    here.renew(run, HALF)
    ended = here.fail(run, PROBLEM) if fails else here.complete(run, plan(here, run, [valid("TP-1")]), "digest")
    # Whoever has looked before it ended asks for the run as it was then.
    assert (there.progress(ended), there.progress(run)) == (None, None)


def leases(settings: Settings) -> sqlite3.Connection:
    return sqlite3.connect(f"{settings.database}{LEASES_SUFFIX}")


@only_sqlite
def test_where_an_older_program_has_kept_its_leases_there_is_place_for_more(
    settings: Settings, here: RunLedger, there: RunLedger
) -> None:
    with closing(leases(settings)) as before:
        before.execute(
            "CREATE TABLE heartbeats (run_id TEXT PRIMARY KEY, fence INTEGER NOT NULL, lease_until INTEGER NOT NULL)"
        )
    run = begun(here)
    here.renew(run, HALF)
    assert there.progress(run) == HALF
    # As that program writes them, if a backup brings it back.
    with closing(leases(settings)) as after:
        after.execute("INSERT INTO heartbeats VALUES (?, ?, ?)", ("another run", 1, 1))
