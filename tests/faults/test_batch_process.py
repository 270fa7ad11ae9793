"""Runs finish exactly once if a worker process is killed or stalls, or if the server is stopped."""

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from api.settings import Settings
from tests.support.harness import Caller
from tests.support.processes.fault_server import (
    OFFERS,
    RUNS,
    SECRET,
    find_runs,
    large_batch,
    new_ledger_settings,
    position,
    send_and_forget,
    worker_pids,
)
from tests.support.processes.shell import RunningServer
from tests.support.waiting import wait_until

LEASE_SECONDS = 2.0


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    return new_ledger_settings(tmp_path, monkeypatch, LEASE_SECONDS)


@pytest.fixture
def server(settings: Settings, tmp_path: Path) -> Iterator[RunningServer]:
    with RunningServer(settings, tmp_path / "serve.log") as running:
        yield running


def is_running(caller: Caller, request_id: str) -> bool:
    runs = find_runs(caller, request_id)
    return [run["state"] for run in runs] == ["running"]


def is_completed(caller: Caller, request_id: str) -> bool:
    return [run["state"] for run in find_runs(caller, request_id)] == ["completed"]


def test_run_of_a_killed_worker_is_finished_by_another(server: RunningServer) -> None:
    caller = server.call(SECRET)
    request_id, sent = large_batch("killed worker")
    sending = send_and_forget(server.call(SECRET), sent)
    wait_until(lambda: is_running(caller, request_id))
    for pid in worker_pids(server):
        os.kill(pid, signal.SIGKILL)
    wait_until(lambda: is_completed(caller, request_id))
    sending.join()
    assert position(caller) == OFFERS + 3


@pytest.mark.long
def test_run_of_a_stalled_worker_is_finished_once(server: RunningServer) -> None:
    caller = server.call(SECRET)
    request_id, sent = large_batch("stalled worker")
    sending = send_and_forget(server.call(SECRET), sent)
    wait_until(lambda: is_running(caller, request_id))
    stopped = worker_pids(server)
    for pid in stopped:
        os.kill(pid, signal.SIGSTOP)
    wait_until(lambda: is_completed(caller, request_id))
    for pid in stopped:
        try:
            os.kill(pid, signal.SIGCONT)
        except ProcessLookupError:
            continue
    sending.join()
    time.sleep(1)
    assert (position(caller), len(find_runs(caller, request_id))) == (OFFERS + 3, 1)


def test_stopped_server_answers_and_leaves_its_run_to_another(
    settings: Settings, tmp_path: Path, server: RunningServer
) -> None:
    caller = server.call(SECRET)
    request_id, sent = large_batch("left to another server")
    replies: list[Any] = []
    sending = send_and_forget(server.call(SECRET), sent, replies)
    wait_until(lambda: bool(find_runs(caller, request_id)))
    assert server.end(signal.SIGTERM) in {0, 128 + signal.SIGTERM, -signal.SIGTERM}
    sending.join()
    assert [reply.status_code for reply in replies] in ([200], [202])
    with RunningServer(settings, tmp_path / "again.log") as again:
        caller = again.call(SECRET)
        wait_until(lambda: is_completed(caller, request_id))
        assert position(caller) == OFFERS + 3
    assert "Traceback" not in server.log


def test_runs_are_listed_while_one_is_executed(server: RunningServer) -> None:
    caller = server.call(SECRET)
    _, sent = large_batch("listed")
    sending = send_and_forget(server.call(SECRET), sent)
    wait_until(lambda: bool(caller.get(RUNS).json()["items"]))
    sending.join()
