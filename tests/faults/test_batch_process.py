"""Does a run end as it should when a helper dies or stops, or the server is asked to end?"""

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
    found,
    helpers_of,
    large_batch,
    position,
    prepared,
    send_and_forget,
    until,
)
from tests.support.processes.shell import RunningServer

LEASE_SECONDS = 2.0


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    return prepared(tmp_path, monkeypatch, LEASE_SECONDS)


@pytest.fixture
def server(settings: Settings, tmp_path: Path) -> Iterator[RunningServer]:
    with RunningServer(settings, tmp_path / "serve.log") as running:
        yield running


def is_running(caller: Caller, request_id: str) -> bool:
    runs = found(caller, request_id)
    return [run["state"] for run in runs] == ["running"]


def is_completed(caller: Caller, request_id: str) -> bool:
    return [run["state"] for run in found(caller, request_id)] == ["completed"]


def test_a_run_whose_helper_dies_is_finished_by_another(server: RunningServer) -> None:
    caller = server.call(SECRET)
    request_id, sent = large_batch("whose helper dies")
    sending = send_and_forget(server.call(SECRET), sent)
    until(lambda: is_running(caller, request_id))
    for pid in helpers_of(server):
        os.kill(pid, signal.SIGKILL)
    until(lambda: is_completed(caller, request_id))
    sending.join()
    assert position(caller) == OFFERS + 3


def test_a_run_whose_helper_stands_still_is_finished_by_another_and_only_once(server: RunningServer) -> None:
    caller = server.call(SECRET)
    request_id, sent = large_batch("whose helper stands still")
    sending = send_and_forget(server.call(SECRET), sent)
    until(lambda: is_running(caller, request_id))
    stopped = helpers_of(server)
    for pid in stopped:
        os.kill(pid, signal.SIGSTOP)
    until(lambda: is_completed(caller, request_id))
    for pid in stopped:
        try:
            os.kill(pid, signal.SIGCONT)
        except ProcessLookupError:
            continue
    sending.join()
    time.sleep(1)
    assert (position(caller), len(found(caller, request_id))) == (OFFERS + 3, 1)


def test_a_server_that_is_asked_to_end_keeps_nobody_waiting_and_leaves_its_run_to_the_next(
    settings: Settings, tmp_path: Path, server: RunningServer
) -> None:
    caller = server.call(SECRET)
    request_id, sent = large_batch("left behind")
    replies: list[Any] = []
    sending = send_and_forget(server.call(SECRET), sent, replies)
    until(lambda: bool(found(caller, request_id)))
    started = time.monotonic()
    assert server.end(signal.SIGTERM) in {0, 128 + signal.SIGTERM, -signal.SIGTERM}
    assert time.monotonic() - started < 15
    sending.join()
    assert [reply.status_code for reply in replies] in ([200], [202])
    with RunningServer(settings, tmp_path / "again.log") as again:
        until(lambda: is_completed(again.call(SECRET), request_id))
        assert position(again.call(SECRET)) == OFFERS + 3
    assert "Traceback" not in server.log


def test_runs_can_be_listed_while_one_is_carried_out(server: RunningServer) -> None:
    caller = server.call(SECRET)
    _, sent = large_batch("listed")
    sending = send_and_forget(server.call(SECRET), sent)
    until(lambda: bool(caller.get(RUNS).json()["items"]))
    sending.join()
