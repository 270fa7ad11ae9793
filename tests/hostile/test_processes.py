"""A process that starts slowly, stalls, or grows does not stop the service."""

import os
import signal
import threading
import time
from pathlib import Path

import pytest

from tests.hostile.attacks.processes import stop_while_storing, worker_processes
from tests.hostile.conftest import Serve
from tests.support.engine import only_postgres, only_sqlite
from tests.support.harness import plain_client
from tests.support.hostile.others import watch_others
from tests.support.hostile.target import Target
from tests.support.processes.fault_server import children_of
from tests.support.waiting import wait_until

SLOW_START = """
import sys, time
if "spawn_main" in " ".join(sys.orig_argv):
    time.sleep(7)
"""
"""A module that Python imports at its start. It delays the server processes, as a busy machine does."""


def hang_up(pid: int) -> None:
    """Sends SIGHUP to a server and all its descendants, as a terminal does that is closed."""
    os.killpg(pid, signal.SIGHUP)


@only_postgres
def test_server_processes_start_slowly_and_ignore_a_hangup(
    serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sitecustomize.py").write_text(SLOW_START)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with serve("--workers", "2") as target, plain_client(target.url) as client:
        wait_until(lambda: target.log.read_text().count("startup complete") == 2)
        children = children_of(target.pid)
        hang_up(target.pid)
        wait_until(lambda: target.log.read_text().count("ignored SIGHUP") == 3)
        assert client.get("/healthz").status_code == 200
        assert children_of(target.pid) == children
        assert "replaced" not in target.log.read_text()


@only_sqlite
def test_worker_process_stopped_in_its_commit_is_killed(target: Target) -> None:
    with watch_others(target) as others:
        stop_while_storing(target, 0)
        others.wait_for_answers(time.monotonic())
        assert others.failures() == []
    assert "stalled and is killed" in target.log.read_text()


def test_server_and_worker_processes_ignore_a_hangup(target: Target) -> None:
    before = worker_processes(target)
    hang_up(target.pid)
    with plain_client(target.url) as client:
        assert client.get("/healthz").status_code == 200
    assert worker_processes(target) == before
    assert "ignored SIGHUP" in target.log.read_text()


ENDLESS_WORK = """
import sys
if "serve" in sys.orig_argv:
    from api.cli.actions import serve
    from projections.offers import inventory

    def page(*arguments, **options):
        print("endless", file=sys.stderr, flush=True)
        while True:
            pass

    inventory.page = page
    serve.SHUTDOWN_TIMEOUT_SECONDS = serve.THREAD_END_SECONDS = 1
"""
"""Python imports it at its start. A thread of the server never ends, and the grace period is short."""


@only_sqlite
def test_server_with_an_endless_thread_ends_after_its_grace_period(
    serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sitecustomize.py").write_text(ENDLESS_WORK)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    replies: list[int] = []
    with serve() as target:
        headers = {"Authorization": f"ApiToken {target.auditor}"}

        def read() -> None:
            with plain_client(target.url, headers=headers) as client:
                replies.append(client.get("/api/v1/offers").status_code)

        reading = threading.Thread(target=read)
        reading.start()
        wait_until(lambda: "endless" in target.log.read_text())
        os.kill(target.pid, signal.SIGTERM)
        reading.join()
        wait_until(lambda: "Timeout" in target.log.read_text(), within=30)
    assert replies == [503]
