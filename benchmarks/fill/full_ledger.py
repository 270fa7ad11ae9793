"""Tasks that read all events of a ledger. Each task runs in its own process, so that its peak memory can be measured.

The process prints its result as JSON.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from typing import NamedTuple

from api.audit.event_reader import read_events
from api.audit.row_formats import as_lines
from api.service import Service
from api.settings import Settings
from api.wiring import open_service
from benchmarks.engines.engine import environment
from benchmarks.servers.server_process import memory, reset_peak
from domain.store.commit import current_head
from projections.audit import event_list
from projections.audit.event_list import EventFilter
from projections.maintenance.rebuild import rebuild
from projections.maintenance.verification import verify


class TaskResult(NamedTuple):
    """The result of a task. `peak`: MiB above the memory of a process that has read one page."""

    events: int
    seconds: float
    peak: float


def run_task(ledger: Settings, task: str) -> TaskResult:
    command = [sys.executable, "-m", __name__, task]
    output = subprocess.run(command, env=environment(ledger), stdout=subprocess.PIPE, check=True).stdout
    return TaskResult(*json.loads(output))


def _read(service: Service) -> None:
    with service.ledger.recorder.read() as tx:
        for _ in service.ledger.entries(tx):
            pass


def _stream(service: Service) -> None:
    for _ in as_lines(read_events(service.ledger, EventFilter(), 0)):
        pass


def _verify(service: Service) -> None:
    """Raises RuntimeError if there is a difference."""
    if differences := verify(service.ledger):
        raise RuntimeError(differences)


def _rebuild(service: Service) -> None:
    rebuild(service.ledger)


READING, REBUILD = "reading the events", "rebuild"
TASKS: Mapping[str, Callable[[Service], None]] = {
    READING: _read,
    REBUILD: _rebuild,
    "verify": _verify,
    "stream as lines": _stream,
}


def _run_here(task: str) -> TaskResult:
    pid = os.getpid()
    with open_service() as service:
        with service.ledger.recorder.read() as tx:
            event_list.page(tx, EventFilter(), 0, 100)
            events = current_head(tx).position
        idle = memory(pid, "VmRSS")
        reset_peak(pid)
        started = time.perf_counter()
        TASKS[task](service)
        return TaskResult(events, time.perf_counter() - started, memory(pid, "VmHWM") - idle)


if __name__ == "__main__":
    print(json.dumps(_run_here(sys.argv[1])))
