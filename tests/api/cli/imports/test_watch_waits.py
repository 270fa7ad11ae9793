"""offer-ledger watch: what it can't do, what keeps it waiting, and how it ends and begins again."""

import os
import random
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from api.channels.drop_folder import DONE_FOLDER, REFUSED_FOLDER, TAKEN_FOLDER
from api.cli.local_runs import accept_offers_file
from api.service import Service
from api.settings import Settings
from api.wiring import open_service
from domain.runs.run import MAX_ATTEMPTS, Run, RunState
from projections.maintenance.verification import verify
from tests.support.calls.merchants import put
from tests.support.calls.stalled_runs import accept_elsewhere
from tests.support.examples import PARTNER, batch, item
from tests.support.harness import carry_out
from tests.support.processes.shell import (
    PATIENCE_SECONDS,
    RunningServer,
    by_hand,
    change_by_hand,
    require_done,
    require_refusal,
    require_usage_error,
    run_script,
)
from tests.support.processes.shell import Run as RunCommand
from tests.support.processes.watch_process import (
    LARGE,
    RunningWatch,
    drop_day,
    file_name,
    file_of,
    large_file,
    lying_in,
    report_of,
    require_carried_out_once,
    runs_of,
)

BOTH = pytest.mark.parametrize("by", [signal.SIGINT, signal.SIGTERM])
LONG_LEASE = {"OFFER_LEDGER_LEASE_SECONDS": "3600"}
"""Who has to wait for its end would wait for too long."""
MOMENTS = 3
SEED = int(os.environ.get("OFFER_LEDGER_TEST_SEED", str(random.SystemRandom().randrange(10**6))))
A_WHILE = 1.5


@pytest.fixture
def directory(tmp_path: Path, partnered: RunCommand) -> Path:
    """Where the partner drops its files."""
    require_done(partnered("partners", "set", PARTNER, "--rps", 0, "--daily-quota", 0))
    directory = tmp_path / "drop"
    directory.mkdir()
    return directory


@pytest.fixture
def elsewhere(settings: Settings) -> Iterator[Service]:
    """Another process, as far as the ledger can tell."""
    with open_service(settings.model_copy(update={"lease_seconds": 60})) as service:
        yield service


def accepted(service: Service, tmp_path: Path, day: int, content: bytes) -> Run:
    """The run of a file, in the hands of that process."""
    path = tmp_path / file_name(day)
    path.write_bytes(content)
    return accept_offers_file(service, path, PARTNER).run


# What it can't do


def test_what_it_cant_watch_is_told_in_a_sentence(settings: Settings, directory: Path) -> None:
    require_refusal(run_script(settings, "watch", str(directory), "--partner", "nobody"), "nobody", "partners set")
    assert list(directory.iterdir()) == []
    missing = run_script(settings, "watch", str(directory / "nowhere"), "--partner", PARTNER)
    require_usage_error(missing, "DIR", "nowhere")
    (directory / "file").touch()
    require_usage_error(run_script(settings, "watch", str(directory / "file"), "--partner", PARTNER), "DIR")
    require_usage_error(run_script(settings, "watch", str(directory)), "--partner")
    (directory / DONE_FOLDER).touch()
    require_refusal(run_script(settings, "watch", str(directory), "--partner", PARTNER), "DIR: can't be used")


def test_a_directory_that_is_watched_can_be_watched_again_when_its_watcher_has_gone(
    settings: Settings, directory: Path
) -> None:
    with RunningWatch(settings, directory) as first:
        second = run_script(settings, "watch", str(directory), "--partner", PARTNER)
        require_refusal(second, str(directory), "watched by another process")
        first.kill()
        with RunningWatch(settings, directory) as third:
            assert third.end() == 0


# How it ends, and begins again


@BOTH
def test_a_watcher_that_is_asked_to_end_is_done(settings: Settings, directory: Path, by: signal.Signals) -> None:
    with RunningWatch(settings, directory) as watch:
        assert watch.end(by) == 0
        assert (watch.lines, len(watch.heartbeat_write)) == ([], 1)


@BOTH
def test_a_large_file_is_gone_on_with_at_once_when_its_watcher_was_asked_to_end(
    settings: Settings, directory: Path, by: signal.Signals
) -> None:
    drop_day(directory, 22, large_file())
    with RunningWatch(settings, directory, env=LONG_LEASE) as watch, open_service(settings) as service:
        watch.wait_for(lambda: [run for run in runs_of(service) if run.state is RunState.RUNNING])
        assert watch.end(by) == 0
        assert (watch.lines, len(watch.heartbeat_write)) == ([], 1)
        assert [run.is_finished for run in runs_of(service)] == [False]
    assert lying_in(directory) == {TAKEN_FOLDER: [file_name(22)]}
    with RunningWatch(settings, directory, env=LONG_LEASE) as watch:
        assert watch.told(1) == [f"{directory / DONE_FOLDER / file_name(22)}: {LARGE} created"]
    require_carried_out_once(settings, LARGE)


def test_a_file_is_carried_out_once_whenever_its_watcher_is_asked_to_end(settings: Settings, directory: Path) -> None:
    print(f"seed {SEED}")
    moments = random.Random(SEED)
    env = {"OFFER_LEDGER_LEASE_SECONDS": "0.5"}
    drop_day(directory, 22, large_file())
    for n in range(MOMENTS):
        with RunningWatch(settings, directory, env=env) as watch:
            if not n:
                watch.wait_for(lambda: lying_in(directory) == {TAKEN_FOLDER: [file_name(22)]})
            else:
                time.sleep(2)
            time.sleep(moments.uniform(0, 1.5))
            by = moments.choice([signal.SIGINT, signal.SIGTERM])
            assert (watch.end(by), len(watch.heartbeat_write)) == (0, 1), watch.heartbeat_write
    with RunningWatch(settings, directory, env=env) as watch:
        watch.wait_for(lambda: lying_in(directory) == {DONE_FOLDER: [file_name(22)]})
    require_carried_out_once(settings, LARGE)


def test_a_watcher_that_cant_reach_the_ledger_ends_all_the_same(settings: Settings, directory: Path) -> None:
    env = {"OFFER_LEDGER_LEASE_SECONDS": "0.5"}
    drop_day(directory, 22, large_file())
    with RunningWatch(settings, directory, env=env) as watch, open_service(settings) as service:
        watch.wait_for(lambda: [run for run in runs_of(service) if run.state is RunState.RUNNING])
        change_by_hand(settings, "ALTER TABLE runs RENAME TO mislaid")
        assert watch.end() == 0
    change_by_hand(settings, "ALTER TABLE mislaid RENAME TO runs")
    with RunningWatch(settings, directory, env=env) as watch:
        watch.told(1)
    require_carried_out_once(settings, LARGE)


# What keeps it waiting


def test_another_file_of_the_partner_that_is_in_progress_elsewhere_is_waited_for(
    settings: Settings, directory: Path, tmp_path: Path, elsewhere: Service
) -> None:
    other = accepted(elsewhere, tmp_path, 21, file_of("OFR-1"))
    drop_day(directory, 22, file_of("OFR-1"))
    with RunningWatch(settings, directory) as watch:
        watch.wait_for(lambda: len(watch.heartbeat_write) == 2)
        time.sleep(A_WHILE)
        carry_out(elsewhere.runs, elsewhere.runs.claim(other.run_id))
        assert watch.told(1) == [f"{directory / DONE_FOLDER / file_name(22)}: 1 unchanged"]
        _, waiting = watch.heartbeat_write
    assert waiting.startswith("Has to wait: ")
    assert str(other.run_id) in waiting


def test_a_file_that_came_by_another_way_too_has_one_outcome(
    settings: Settings, directory: Path, tmp_path: Path, elsewhere: Service
) -> None:
    other = accepted(elsewhere, tmp_path, 22, file_of("OFR-1"))
    drop_day(directory, 22, file_of("OFR-1"))
    with RunningWatch(settings, directory) as watch:
        watch.wait_for(lambda: lying_in(directory) == {TAKEN_FOLDER: [file_name(22)]})
        time.sleep(A_WHILE)
        carry_out(elsewhere.runs, elsewhere.runs.claim(other.run_id))
        assert watch.told(1) == [f"{directory / DONE_FOLDER / file_name(22)}: 1 created"]
    assert report_of(directory / DONE_FOLDER / file_name(22))["runId"] == str(other.run_id)
    require_carried_out_once(settings, 1)


def test_a_run_that_nobody_holds_any_more_keeps_no_file_waiting(
    settings: Settings, directory: Path, tmp_path: Path, elsewhere: Service
) -> None:
    other = accepted(elsewhere, tmp_path, 21, file_of("OFR-1"))
    elsewhere.runs.release()
    drop_day(directory, 22, file_of("OFR-1"))
    with RunningWatch(settings, directory) as watch:
        assert watch.told(1) == [f"{directory / DONE_FOLDER / file_name(22)}: 1 unchanged"]
    finished = elsewhere.runs.find(other.run_id)
    assert finished is not None
    assert finished.state is RunState.COMPLETED


def test_a_batch_of_the_partner_keeps_no_file_waiting(settings: Settings, directory: Path, elsewhere: Service) -> None:
    other = accept_elsewhere(elsewhere, batch("Insert", [item()]))
    drop_day(directory, 22, file_of("OFR-1"))
    with RunningWatch(settings, directory) as watch:
        watch.told(1)
    assert [run.is_finished for run in runs_of(elsewhere)] == [True, False]
    assert runs_of(elsewhere)[1].run_id == other.run_id


def test_a_file_that_can_never_be_carried_out_is_refused_and_may_be_dropped_again(
    settings: Settings, directory: Path, tmp_path: Path, elsewhere: Service
) -> None:
    other = accepted(elsewhere, tmp_path, 22, file_of("OFR-1"))
    for _ in range(MAX_ATTEMPTS + 1):
        elsewhere.runs.claim(other.run_id)
    elsewhere.runs.release()
    drop_day(directory, 22, file_of("OFR-1"))
    with RunningWatch(settings, directory) as watch:
        refused = directory / REFUSED_FOLDER / file_name(22)
        assert watch.told(1) == [f"{refused}: the service could not carry the file out; it may be dropped again"]
        assert (report_of(refused)["state"], report_of(refused)["problem"]["type"]) == ("failed", "run-failed")
        assert f"begun {MAX_ATTEMPTS} times" in watch.heartbeat_write[1]
        drop_day(directory, 22, file_of("OFR-1"))
        assert watch.told(2)[1] == f"{directory / DONE_FOLDER / file_name(22)}: 1 created"


def test_another_writer_of_the_ledger_is_waited_for(settings: Settings, directory: Path) -> None:
    with RunningWatch(settings, directory, env={"OFFER_LEDGER_LEASE_SECONDS": "0.5"}) as watch:
        with by_hand(settings):
            drop_day(directory, 22, file_of("OFR-1"))
            watch.wait_for(lambda: lying_in(directory) == {TAKEN_FOLDER: [file_name(22)]})
            time.sleep(A_WHILE)
            assert watch.lines == []
        assert watch.told(1) == [f"{directory / DONE_FOLDER / file_name(22)}: 1 created"]
        assert len(watch.heartbeat_write) == 1
    require_carried_out_once(settings, 1)


def test_a_file_that_cant_be_put_where_it_shall_stay_is_put_there_later(settings: Settings, directory: Path) -> None:
    done = directory / DONE_FOLDER
    with RunningWatch(settings, directory) as watch:
        done.rmdir()
        done.touch()
        drop_day(directory, 22, file_of("OFR-1"))
        watch.wait_for(lambda: len(watch.heartbeat_write) == 2)
        time.sleep(A_WHILE)
        assert (watch.lines, len(watch.heartbeat_write)) == ([], 2)
        assert "Has to wait: " in watch.heartbeat_write[1]
        done.unlink()
        done.mkdir()
        assert watch.told(1) == [f"{done / file_name(22)}: 1 created"]
    assert lying_in(directory) == {DONE_FOLDER: [file_name(22)]}
    require_carried_out_once(settings, 1)


# In company


def test_single_requests_are_answered_while_files_are_carried_out(
    run: RunCommand, settings: Settings, directory: Path, server: RunningServer
) -> None:
    token = require_done(run("tokens", "create", "--role", "partner", "--partner", PARTNER, "--name", "feed")).strip()
    caller = server.call(token)
    caller.http.timeout = PATIENCE_SECONDS
    statuses: list[int] = []
    ended = threading.Event()

    def put_offers() -> None:
        while not ended.is_set():
            statuses.append(put(caller, offer=f"OFR-{len(statuses) % 3}").status_code)

    for day in (22, 23):
        drop_day(directory, day, large_file(day))
    putting = threading.Thread(target=put_offers)
    with RunningWatch(settings, directory) as watch:
        putting.start()
        try:
            watch.told(2)
        finally:
            ended.set()
            putting.join()
    assert lying_in(directory) == {DONE_FOLDER: [file_name(22), file_name(23)]}
    assert len(statuses) > 3
    assert set(statuses) == {202}
    assert "Traceback" not in server.log
    with open_service(settings) as service:
        assert verify(service.ledger) == []
