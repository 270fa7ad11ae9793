"""The functions of a worker process, which accepts and executes large runs so that they do not slow other requests.

A worker process opens the ledger itself, and acts in the name of the server process that owns the run. The server calls
these functions by name, with arguments that can be pickled.
"""

import gc
from contextlib import ExitStack
from functools import cache
from uuid import UUID

from api.bounds.body import BodyBounds
from api.intake.incoming_batch import IncomingBatch
from api.processes.kept_objects import kept_objects
from api.runs import acceptance, execution
from api.runs.acceptance import RunSender, UploadedBody
from api.service import Service
from api.settings import Settings
from api.wiring import open_service
from domain.ledgers.run_ledger import AcceptedRun, EarlierOffers
from domain.runs.run import Run
from domain.store.commit import current_head
from domain.store.records.compression import decompress
from domain.values import Channel, Clock, Operation
from projections.offers.status_counts import counts

_OBJECTS_PER_COLLECTION = 50_000
_open_resources = ExitStack()


class WorkerContext:
    """The settings and the owner for which a worker process acts. Contexts with the same owner `name` are equal.

    The worker process gets a copy of the clock: a clock that a test moves stays where it is in the worker process."""

    def __init__(self, settings: Settings, clock: Clock, name: str) -> None:
        self.settings, self.clock, self.name = settings, clock, name

    def __eq__(self, other: object) -> bool:
        return isinstance(other, WorkerContext) and other.name == self.name

    def __hash__(self) -> int:
        return hash(self.name)


def warm_up(context: WorkerContext) -> None:
    _service(context)


def validate_early_in_worker(context: WorkerContext, run_id: UUID, partner: str, packed: list[bytes]) -> None:
    """Validates the next chunks of a batch that still arrives, and keeps the result for the calls below."""
    early = kept_objects.get(run_id)
    if early is None:
        early = kept_objects[run_id] = EarlyBatch(_service(context).settings.body_bounds)
    for chunk in packed:
        early.feed(decompress(chunk))
    if early.needs_all_offers:
        early.set_known(_all_offers(_service(context), partner))


def accept_in_worker(context: WorkerContext, uploaded: UploadedBody, sender: RunSender) -> AcceptedRun:
    """Runs `acceptance.accept_run`."""
    service, early = _service(context), kept_objects.get(uploaded.run_id)
    incoming = early.end(uploaded.size) if early else None
    return acceptance.accept_run(service.runs, uploaded, sender, service.settings.body_bounds, incoming)


def execute_in_worker(context: WorkerContext, run_id: UUID) -> Run:
    """Claims a run, and executes it."""
    service, early = _service(context), kept_objects.get(run_id)
    run, bounds = service.runs.claim(run_id), service.settings.body_bounds
    if early is None or early.whole is None:
        return execution.execute(service.runs, run, bounds)
    return execution.execute(service.runs, run, bounds, incoming=early.whole, known_before=early.take_known())


def _all_offers(service: Service, partner: str) -> EarlierOffers | None:
    """Returns the partner's offers. None if they are so many that they could need more memory than the batch."""
    with service.ledger.read() as tx:
        number = sum(counts(tx, partner, Channel.CUSTOM, current_head(tx)).values())
        return service.runs.all_offers(tx, partner, Channel.CUSTOM) if number <= service.settings.max_items else None


class EarlyBatch:
    """A batch of which this process has the first `size` bytes. Only one that is `whole` may be used."""

    def __init__(self, bounds: BodyBounds) -> None:
        self._incoming = IncomingBatch(bounds)
        self._known: EarlierOffers | None = None
        self._has_asked = False
        self._size = 0
        self.whole: IncomingBatch | None = None

    def feed(self, piece: bytes) -> None:
        self._incoming.feed(piece)
        self._size += len(piece)

    @property
    def needs_all_offers(self) -> bool:
        """Returns whether the caller must still read the partner's offers. An Insert needs only those that it names."""
        return not self._has_asked and self._incoming.operation == Operation.SYNCHRONIZE

    def set_known(self, known: EarlierOffers | None) -> None:
        """`known`: the partner's offers, read while the batch arrives; None if they are too many."""
        self._has_asked, self._known = True, known
        self._incoming.known = known.offers if known else {}

    def end(self, size: int) -> IncomingBatch | None:
        """Returns the batch if it has as many bytes as the body."""
        if self._size == size:
            self._incoming.end()
            self.whole = self._incoming
        return self.whole

    def take_known(self) -> EarlierOffers | None:
        """Returns the offers once: the execution changes them."""
        known, self._known = self._known, None
        return known


@cache
def _service(context: WorkerContext) -> Service:
    # A batch has many objects that all live until its end, so frequent collections find nothing.
    gc.set_threshold(_OBJECTS_PER_COLLECTION)
    return _open_resources.enter_context(open_service(context.settings, context.clock, context.name, may_create=False))
