"""What does a helper process do for the server? The work on large batches, which would keep everybody else waiting.

It opens the ledger for itself, and acts for the owner that asks it to. Its functions are called by name from another
process, with plain values.
"""

import gc
import signal
from contextlib import ExitStack
from functools import cache
from uuid import UUID

from api.runs import acceptance, execution
from api.runs.acceptance import RunSender, UploadedBody
from api.service import Service
from api.settings import Settings
from api.wiring import open_service
from domain.ledgers.run_ledger import AcceptedRun
from domain.runs.run import Run
from domain.values import Clock

_OBJECTS_PER_COLLECTION = 50_000
_until_the_end = ExitStack()


class WorkerContext:
    """For whom a helper acts, and on which ledger; `name` is that of the owner, and tells one from another.

    Its clock is copied: one that a test moves stands still in a helper."""

    def __init__(self, settings: Settings, clock: Clock, name: str) -> None:
        self.settings, self.clock, self.name = settings, clock, name

    def __eq__(self, other: object) -> bool:
        return isinstance(other, WorkerContext) and other.name == self.name

    def __hash__(self) -> int:
        return hash(self.name)


def warm_up(principal: WorkerContext) -> None:
    _service(principal)


def accept_in_worker(principal: WorkerContext, arrival: UploadedBody, sender: RunSender) -> AcceptedRun:
    """As run_intake.accept does."""
    service = _service(principal)
    return acceptance.accept_run(service.runs, arrival, sender, service.settings.max_items)


def execute_in_worker(principal: WorkerContext, run_id: UUID) -> Run:
    """Claims a run, then as run_work.carry_out does."""
    service = _service(principal)
    return execution.execute(service.runs, service.runs.claim(run_id), service.settings.max_image_bytes)


@cache
def _service(principal: WorkerContext) -> Service:
    # Signals to a whole group of processes are for the server, which ends its helpers.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    # A batch is many objects that all stay until its end.
    gc.set_threshold(_OBJECTS_PER_COLLECTION)
    return _until_the_end.enter_context(open_service(principal.settings, principal.clock, principal.name))
