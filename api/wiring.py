"""What is the service put together from? The one place where clock, storage and projections meet."""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from uuid import uuid4

from api.access.console_sessions import Sessions
from api.access.pseudonyms import Pseudonyms
from api.access.rate_limits import RequestLimiter
from api.service import Service
from api.settings import Settings
from domain.ledgers.activation_ledger import ActivationLedger, ActivationQueries
from domain.ledgers.ledger import OfferLedger
from domain.ledgers.redemption_ledger import RedemptionLedger
from domain.ledgers.run_ledger import RunLedger
from domain.ledgers.single_request_ledger import SingleRequestLedger
from domain.store.records.secrets import PSEUDONYMS, find_secret
from domain.values import Clock
from projections import projector
from projections.access import partners
from projections.offers import decision_state
from projections.offers.offer_as_of import offer_as_of
from projections.redemption import redemption_windows

_QUESTIONS = ActivationQueries(
    offer_as_of, redemption_windows.offer_terms, partners.window_days_at, redemption_windows.activations
)


def utc_now() -> datetime:
    """The one clock of the service; tests put another in its place."""
    return datetime.now(UTC)


@contextmanager
def open_service(
    settings: Settings | None = None, clock: Clock = utc_now, owner: str | None = None
) -> Iterator[Service]:
    """Opens the ledger, making its tables if the database is empty, and closes it at the end.

    `owner`: in whose name runs are carried out, if not in that of this process. Raises SchemaMismatch, and StorageError if the database can't be opened."""
    settings = settings or Settings()
    limiter = RequestLimiter(settings.redis_url)
    # What is recorded by several processes is recorded by one clock.
    times = None if settings.is_shared and clock is utc_now else clock
    ledger = OfferLedger(settings.database_location, times, projector.Projector(), decision_state.known_offers)
    try:
        ledger.recorder.prepare_schema(projector.tables())
        runs = RunLedger(ledger, owner or _this_process(), timedelta(seconds=settings.lease_seconds))
        traces = SingleRequestLedger(ledger, decision_state.find_offers, partners.find_terms)
        activations = ActivationLedger(ledger, _QUESTIONS)
        redemptions = RedemptionLedger(ledger, _QUESTIONS)
        kept = _kept_secret(ledger)
        pseudonyms = Pseudonyms(settings.pseudonym_key.get_secret_value().encode() if settings.pseudonym_key else kept)
        yield Service(
            settings, clock, ledger, runs, traces, activations, redemptions, pseudonyms, Sessions(kept), limiter
        )
    finally:
        limiter.close()
        ledger.close()


def _kept_secret(ledger: OfferLedger) -> bytes:
    with ledger.recorder.read() as tx:
        return find_secret(tx, PSEUDONYMS)


def _this_process() -> str:
    """A name that no other process has had or will have."""
    return f"{socket.gethostname()}:{os.getpid()}:{uuid4().hex[:8]}"
