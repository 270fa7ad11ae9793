"""Creates the service from its parts: the only module that connects clock, storage and projections."""

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
from domain.store.records.secrets import PSEUDONYM_KEY, find_secret
from domain.values import Clock
from projections import projector
from projections.access import partners
from projections.offers import decision_state
from projections.offers.offer_as_of import offer_as_of
from projections.redemption import redemption_windows

_ACTIVATION_QUERIES = ActivationQueries(
    offer_as_of, redemption_windows.offer_terms, partners.window_days_at, redemption_windows.find_activations
)


def utc_now() -> datetime:
    """The clock of the service. Tests replace it."""
    return datetime.now(UTC)


@contextmanager
def open_service(
    settings: Settings | None = None, clock: Clock = utc_now, owner: str | None = None
) -> Iterator[Service]:
    """Opens the ledger and closes it at the end. Creates the tables if the database is empty.

    `owner`: the owner of runs, by default this process. Raises SchemaMismatch, and StorageError if the database
    can't be opened."""
    settings = settings or Settings()
    limiter = RequestLimiter(settings.redis_url)
    ledger = _ledger(settings, clock)
    try:
        ledger.recorder.prepare_schema(projector.tables())
        runs = RunLedger(ledger, owner or _this_process(), timedelta(seconds=settings.lease_seconds))
        single_requests = SingleRequestLedger(
            ledger, decision_state.find_offers, decision_state.find_merchant_ids, partners.find_terms
        )
        activations = ActivationLedger(ledger, _ACTIVATION_QUERIES)
        redemptions = RedemptionLedger(ledger, _ACTIVATION_QUERIES)
        secret = _stored_secret(ledger)
        pseudonyms = Pseudonyms(
            settings.pseudonym_key.get_secret_value().encode() if settings.pseudonym_key else secret
        )
        yield Service(
            settings,
            clock,
            ledger,
            runs,
            single_requests,
            activations,
            redemptions,
            pseudonyms,
            Sessions(secret),
            limiter,
        )
    finally:
        limiter.close()
        ledger.close()


def _ledger(settings: Settings, clock: Clock) -> OfferLedger:
    # If several processes write, recorded times come from the clock of the database.
    times = None if settings.is_shared and clock is utc_now else clock
    return OfferLedger(
        settings.database_location, times, projector.Projector(), decision_state.known_offers, partners.all_names
    )


def _stored_secret(ledger: OfferLedger) -> bytes:
    with ledger.recorder.read() as tx:
        return find_secret(tx, PSEUDONYM_KEY)


def _this_process() -> str:
    """Returns a name that no other process ever has."""
    return f"{socket.gethostname()}:{os.getpid()}:{uuid4().hex[:8]}"
