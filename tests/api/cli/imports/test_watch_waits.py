"""`offer-ledger watch`: directories that it refuses, waiting for other processes, and restarts."""

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
from tests.support.harness import execute_run
from tests.support.processes.shell import Run as RunCommand
from tests.support.processes.shell import (
    RunningServer,
    by_hand,
    change_by_hand,
    require_refusal,
    require_success,
    require_usage_error,
    run_script,
)
from tests.support.processes.watch_process import (
    LARGE,
    RunningWatch,
    drop_day,
    file_name,
    file_of,
    files_by_folder,
    large_file,
    report_of,
    require_executed_once,
    runs_of,
)

BOTH_SIGNALS = pytest.mark.parametrize("stop_signal", [signal.SIGINT, signal.SIGTERM])
LONG_LEASE = {"OFFER_LEDGER_LEASE_SECONDS": "3600"}
"""A test that waits for the end of this lease times out."""
SAME_LEASE = {"OFFER_LEDGER_LEASE_SECONDS": "60"}
"""The lease of the fixture `elsewhere`: a longer lease than that of a process counts as set by a clock that was ahead."""
STOPS = 3
SEED = int(os.environ.get("OFFER_LEDGER_TEST_SEED", str(random.SystemRandom().randrange(10**6))))
WAIT_SECONDS = 1.5


@pytest.fixture
def directory(tmp_path: Path, partnered: RunCommand) -> Path:
    """The drop folder of the partner."""
    require_success(partnered("partners", "set", PARTNER, "--rps", 0, "--daily-quota", 0))
    directory = tmp_path / "drop"
    directory.mkdir()
    return directory


@pytest.fixture
def elsewhere(settings: Settings) -> Iterator[Service]:
    """A second service on the ledger; for the ledger, it is another process."""
    with open_service(settings.model_copy(update={"lease_seconds": 60})) as service:
        yield service


def accepted(service: Service, tmp_path: Path, day: int, content: bytes) -> Run:
    """Accepts a file in that service and returns its run."""
    path = tmp_path / file_name(day)
    path.write_bytes(content)
    return accept_offers_file(service, path, PARTNER).run


# Refusals


def test_unusable_directory_is_refused_with_a_sentence(run: RunCommand, directory: Path) -> None:
    require_refusal(run("watch", str(directory), "--partner", "nobody"), "nobody", "partners set")
    assert list(directory.iterdir()) == []
    missing = run("watch", str(directory / "nowhere"), "--partner", PARTNER)
    require_usage_error(missing, "DIR", "nowhere")
    (directory / "file").touch()
    require_usage_error(run("watch", str(directory / "file"), "--partner", PARTNER), "DIR")
    require_usage_error(run("watch", str(directory)), "--partner")
    (directory / DONE_FOLDER).touch()
    require_refusal(run("watch", str(directory), "--partner", PARTNER), "DIR: cannot be watched")


def test_directory_has_one_watcher_until_it_dies(settings: Settings, directory: Path) -> None:
    with RunningWatch(settings, directory) as first:
        second = run_script(settings, "watch", str(directory), "--partner", PARTNER)
        require_refusal(second, str(directory), "watched by another process")
        first.kill()
        with RunningWatch(settings, directory) as third:
            assert third.end() == 0


# Stops and restarts


@BOTH_SIGNALS
def test_watch_exits_with_0_on_sigint_and_sigterm(
    settings: Settings, directory: Path, stop_signal: signal.Signals
) -> None:
    with RunningWatch(settings, directory) as watch:
        assert watch.end(stop_signal) == 0
        assert (watch.lines, len(watch.stderr_lines)) == ([], 1)


def test_stopped_watch_releases_its_run_for_the_next_one(settings: Settings, directory: Path) -> None:
    drop_day(directory, 22, large_file())
    with RunningWatch(settings, directory, env=LONG_LEASE) as watch, open_service(settings) as service:
        watch.wait_for(lambda: [run for run in runs_of(service) if run.state is RunState.RUNNING])
        assert watch.end() == 0
        assert (watch.lines, len(watch.stderr_lines)) == ([], 1)
        assert [run.is_finished for run in runs_of(service)] == [False]
    assert files_by_folder(directory) == {TAKEN_FOLDER: [file_name(22)]}
    with RunningWatch(settings, directory, env=LONG_LEASE) as watch:
        assert watch.wait_for_lines(1) == [f"{directory / DONE_FOLDER / file_name(22)}: {LARGE} created"]
    require_executed_once(settings, LARGE)


@pytest.mark.long
def test_file_is_processed_once_despite_stops_at_random_times(settings: Settings, directory: Path) -> None:
    print(f"seed {SEED}")
    random_times = random.Random(SEED)
    env = {"OFFER_LEDGER_LEASE_SECONDS": "0.5"}
    drop_day(directory, 22, large_file())
    for n in range(STOPS):
        with RunningWatch(settings, directory, env=env) as watch:
            if not n:
                watch.wait_for(lambda: files_by_folder(directory) == {TAKEN_FOLDER: [file_name(22)]})
            else:
                time.sleep(2)
            time.sleep(random_times.uniform(0, 1.5))
            stop_signal = random_times.choice([signal.SIGINT, signal.SIGTERM])
            assert (watch.end(stop_signal), len(watch.stderr_lines)) == (0, 1), watch.stderr_lines
    with RunningWatch(settings, directory, env=env) as watch:
        watch.wait_for(lambda: files_by_folder(directory) == {DONE_FOLDER: [file_name(22)]})
    require_executed_once(settings, LARGE)


def test_watch_stops_without_access_to_the_ledger(settings: Settings, directory: Path) -> None:
    env = {"OFFER_LEDGER_LEASE_SECONDS": "0.5"}
    drop_day(directory, 22, large_file())
    with RunningWatch(settings, directory, env=env) as watch, open_service(settings) as service:
        watch.wait_for(lambda: [run for run in runs_of(service) if run.state is RunState.RUNNING])
        change_by_hand(settings, "ALTER TABLE runs RENAME TO mislaid")
        assert watch.end() == 0
    change_by_hand(settings, "ALTER TABLE mislaid RENAME TO runs")
    with RunningWatch(settings, directory, env=env) as watch:
        watch.wait_for_lines(1)
    require_executed_once(settings, LARGE)


# Waiting


def test_watch_waits_for_another_file_of_the_partner(
    settings: Settings, directory: Path, tmp_path: Path, elsewhere: Service
) -> None:
    other = accepted(elsewhere, tmp_path, 21, file_of("OFR-1"))
    drop_day(directory, 22, file_of("OFR-1"))
    with RunningWatch(settings, directory, env=SAME_LEASE) as watch:
        watch.wait_for(lambda: len(watch.stderr_lines) == 2)
        time.sleep(WAIT_SECONDS)
        execute_run(elsewhere.runs, elsewhere.runs.claim(other.run_id))
        assert watch.wait_for_lines(1) == [f"{directory / DONE_FOLDER / file_name(22)}: 1 unchanged"]
        _, waiting = watch.stderr_lines
    assert waiting.startswith("Waiting: ")
    assert str(other.run_id) in waiting


def test_file_accepted_by_another_process_has_one_outcome(
    settings: Settings, directory: Path, tmp_path: Path, elsewhere: Service
) -> None:
    other = accepted(elsewhere, tmp_path, 22, file_of("OFR-1"))
    drop_day(directory, 22, file_of("OFR-1"))
    with RunningWatch(settings, directory, env=SAME_LEASE) as watch:
        watch.wait_for(lambda: files_by_folder(directory) == {TAKEN_FOLDER: [file_name(22)]})
        time.sleep(WAIT_SECONDS)
        execute_run(elsewhere.runs, elsewhere.runs.claim(other.run_id))
        assert watch.wait_for_lines(1) == [f"{directory / DONE_FOLDER / file_name(22)}: 1 created"]
    assert report_of(directory / DONE_FOLDER / file_name(22))["runId"] == str(other.run_id)
    require_executed_once(settings, 1)


def test_watch_finishes_a_run_without_an_owner(
    settings: Settings, directory: Path, tmp_path: Path, elsewhere: Service
) -> None:
    other = accepted(elsewhere, tmp_path, 21, file_of("OFR-1"))
    elsewhere.runs.release()
    drop_day(directory, 22, file_of("OFR-1"))
    with RunningWatch(settings, directory) as watch:
        assert watch.wait_for_lines(1) == [f"{directory / DONE_FOLDER / file_name(22)}: 1 unchanged"]
    finished = elsewhere.runs.find(other.run_id)
    assert finished is not None
    assert finished.state is RunState.COMPLETED


def test_batch_of_the_partner_does_not_delay_a_file(settings: Settings, directory: Path, elsewhere: Service) -> None:
    other = accept_elsewhere(elsewhere, batch("Insert", [item()]))
    drop_day(directory, 22, file_of("OFR-1"))
    with RunningWatch(settings, directory) as watch:
        watch.wait_for_lines(1)
    assert [run.is_finished for run in runs_of(elsewhere)] == [True, False]
    assert runs_of(elsewhere)[1].run_id == other.run_id


@pytest.mark.long
def test_failed_file_is_refused_and_can_be_dropped_again(
    settings: Settings, directory: Path, tmp_path: Path, elsewhere: Service
) -> None:
    other = accepted(elsewhere, tmp_path, 22, file_of("OFR-1"))
    for _ in range(MAX_ATTEMPTS + 1):
        elsewhere.runs.claim(other.run_id)
    elsewhere.runs.release()
    drop_day(directory, 22, file_of("OFR-1"))
    with RunningWatch(settings, directory) as watch:
        refused = directory / REFUSED_FOLDER / file_name(22)
        assert watch.wait_for_lines(1) == [f"{refused}: the service could not process the file; you can drop it again"]
        assert (report_of(refused)["state"], report_of(refused)["problem"]["type"]) == ("failed", "run-failed")
        assert f"started {MAX_ATTEMPTS} times" in watch.stderr_lines[1]
        drop_day(directory, 22, file_of("OFR-1"))
        assert watch.wait_for_lines(2)[1] == f"{directory / DONE_FOLDER / file_name(22)}: 1 created"


def test_watch_waits_for_another_writer_of_the_ledger(settings: Settings, directory: Path) -> None:
    with RunningWatch(settings, directory, env={"OFFER_LEDGER_LEASE_SECONDS": "0.5"}) as watch:
        with by_hand(settings):
            drop_day(directory, 22, file_of("OFR-1"))
            watch.wait_for(lambda: files_by_folder(directory) == {TAKEN_FOLDER: [file_name(22)]})
            time.sleep(WAIT_SECONDS)
            assert watch.lines == []
        assert watch.wait_for_lines(1) == [f"{directory / DONE_FOLDER / file_name(22)}: 1 created"]
        assert len(watch.stderr_lines) == 1
    require_executed_once(settings, 1)


@pytest.mark.long
def test_watch_retries_to_move_a_processed_file(settings: Settings, directory: Path) -> None:
    done = directory / DONE_FOLDER
    with RunningWatch(settings, directory) as watch:
        done.rmdir()
        done.touch()
        drop_day(directory, 22, file_of("OFR-1"))
        watch.wait_for(lambda: len(watch.stderr_lines) == 2)
        time.sleep(WAIT_SECONDS)
        assert (watch.lines, len(watch.stderr_lines)) == ([], 2)
        assert "Waiting: " in watch.stderr_lines[1]
        done.unlink()
        done.mkdir()
        assert watch.wait_for_lines(1) == [f"{done / file_name(22)}: 1 created"]
    assert files_by_folder(directory) == {DONE_FOLDER: [file_name(22)]}
    require_executed_once(settings, 1)


# Other traffic


@pytest.mark.long
def test_single_requests_are_answered_while_files_are_processed(
    run: RunCommand, settings: Settings, directory: Path, server: RunningServer
) -> None:
    token = require_success(
        run("tokens", "create", "--role", "partner", "--partner", PARTNER, "--name", "feed")
    ).strip()
    caller = server.call(token)
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
            watch.wait_for_lines(2)
        finally:
            ended.set()
            putting.join()
    assert files_by_folder(directory) == {DONE_FOLDER: [file_name(22), file_name(23)]}
    assert len(statuses) > 3
    assert set(statuses) == {202}
    assert "Traceback" not in server.log
    with open_service(settings) as service:
        assert verify(service.ledger) == []
