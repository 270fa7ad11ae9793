"""What does a helper process do for the server? The work on large batches, which would keep everybody else waiting.

It opens the ledger for itself, and acts for the owner that asks it to. Its functions are called by name from another
process, with plain values.
"""

import gc
import signal
from contextlib import ExitStack
from functools import cache, partial
from uuid import UUID

from api import batch_intake, run_work
from api.batch_intake import BatchRequest
from api.settings import Settings
from api.wiring import Service, open_service
from domain.run import Run
from domain.values import Clock

_OBJECTS_PER_COLLECTION = 50_000
_until_the_end = ExitStack()


class Owner:
    """For whom, and on which ledger. Equal ones are one and the same."""

    def __init__(self, settings: Settings, clock: Clock, name: str) -> None:
        self.settings, self.clock, self.name = settings, clock, name

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Owner) and other.name == self.name

    def __hash__(self) -> int:
        return hash(self.name)


def warm_up(owner: Owner) -> None:
    _service(owner)


def read_request(owner: Owner, run_id: UUID) -> BatchRequest:
    """As batch_intake.read_request does, of a body that is stored."""
    service = _service(owner)
    return batch_intake.read_request(partial(service.runs.body, run_id), service.settings.max_items)


def asks_for_the_same(owner: Owner, earlier: Run, run_id: UUID) -> bool:
    """As run_work.asks_for_the_same does, of a body that is stored."""
    service = _service(owner)
    body = partial(service.runs.body, run_id)
    return run_work.asks_for_the_same(service.runs, earlier, body)


def carry_out(owner: Owner, run_id: UUID) -> Run:
    """Claims a run, then as run_work.carry_out does."""
    service = _service(owner)
    return run_work.carry_out(service.runs, service.runs.claim(run_id))


@cache
def _service(owner: Owner) -> Service:
    # Ctrl-C at the shell is for the server, which ends its helpers.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # A batch is many objects that all stay until its end.
    gc.set_threshold(_OBJECTS_PER_COLLECTION)
    return _until_the_end.enter_context(open_service(owner.settings, owner.clock, owner.name))
