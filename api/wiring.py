"""What is the service put together from? The one place where clock, storage and projections meet."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from anyio import CapacityLimiter
from msgspec import Struct

from api.limits import RequestLimiter
from api.settings import Settings
from domain.ledger import OfferLedger
from domain.values import Clock
from projections import inventory, projector

BATCH_THREADS = 2


class Service(Struct, frozen=True):
    """Everything that a route or a command works with."""

    settings: Settings
    clock: Clock
    ledger: OfferLedger
    limiter: RequestLimiter
    batch_threads: CapacityLimiter
    """Batches wait for these, not for the threads that answer everything else."""


def utc_now() -> datetime:
    """The one clock of the service; tests put another in its place."""
    return datetime.now(UTC)


@contextmanager
def open_service(settings: Settings | None = None, clock: Clock = utc_now) -> Iterator[Service]:
    """Opens the ledger, making its tables if the database is empty, and closes it at the end.

    Raises SchemaMismatch, and StorageError if the database can't be opened."""
    settings = settings or Settings()
    ledger = OfferLedger(settings.database, clock, projector.project, inventory.known_offers)
    try:
        ledger.recorder.prepare_schema(projector.tables())
        yield Service(settings, clock, ledger, RequestLimiter(), CapacityLimiter(BATCH_THREADS))
    finally:
        ledger.close()
