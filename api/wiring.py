"""Creates the service from its parts: the only module that connects clock, storage and projections."""

import os
import secrets
import socket
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from uuid import uuid4

from api.access.console_key import CONSOLE_KEY_SUFFIX, load_console_key
from api.access.console_sessions import Sessions
from api.access.pseudonyms import Pseudonyms
from api.access.rate_limits import RequestLimiter
from api.service import Service
from api.settings import Settings
from domain.ledgers.activation_ledger import ActivationLedger, ActivationQueries
from domain.ledgers.hold_ledger import HoldLedger
from domain.ledgers.ledger import OfferLedger
from domain.ledgers.redemption_ledger import RedemptionLedger
from domain.ledgers.run_ledger import RunLedger
from domain.ledgers.single_request_ledger import SingleRequestLedger
from domain.store.factory import open_database, require_place
from domain.store.recorder import LedgerRecorder
from domain.store.records.secrets import PSEUDONYM_KEY, SECRET_BYTES, find_secret
from domain.values import Clock
from projections import projector
from projections.access import partners
from projections.offers import changed_offers, decision_state, inventory
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
    settings: Settings | None = None, clock: Clock = utc_now, owner: str | None = None, *, may_create: bool = True
) -> Iterator[Service]:
    """Opens the ledger and closes it at the end. If the database is empty, creates the tables or raises NoLedger.

    `owner`: the owner of runs, by default this process. Raises SchemaMismatch, and StorageError if the database
    can't be opened."""
    settings = settings or Settings()
    require_place(settings.database_location, may_create=may_create)
    limiter = RequestLimiter(settings.redis_url)
    ledger = _ledger(settings, clock)
    try:
        if may_create:
            ledger.recorder.prepare_schema(projector.tables())
        else:
            ledger.recorder.require_ledger()
        yield _service(settings, clock, ledger, limiter, owner or _this_process())
    finally:
        limiter.close()
        ledger.close()


def _ledger(settings: Settings, clock: Clock) -> OfferLedger:
    # If several processes write, recorded times come from the clock of the database.
    times = None if settings.is_shared and clock is utc_now else clock
    return OfferLedger(
        settings.database_location,
        times,
        projector.Projector(),
        decision_state.known_offers,
        partners.all_names,
        changed_offers.changed_offers,
    )


def _service(settings: Settings, clock: Clock, ledger: OfferLedger, limiter: RequestLimiter, owner: str) -> Service:
    pseudonym_key = settings.pseudonym_key.get_secret_value().encode() if settings.pseudonym_key else None
    return Service(
        settings,
        clock,
        ledger,
        RunLedger(ledger, owner, timedelta(seconds=settings.lease_seconds)),
        SingleRequestLedger(
            ledger, decision_state.offers_lookup, decision_state.find_existing_ids, partners.terms_lookup
        ),
        ActivationLedger(ledger, _ACTIVATION_QUERIES),
        HoldLedger(ledger, inventory.owner_of),
        RedemptionLedger(ledger, _ACTIVATION_QUERIES),
        Pseudonyms(pseudonym_key or _stored_secret(ledger)),
        Sessions(partial(_console_key, settings)),
        limiter,
    )


def create_ledger(settings: Settings) -> str | None:
    """Creates a ledger if the database is empty. Returns its place, or None if there is a ledger already.

    Raises SchemaMismatch if the database contains anything but a matching ledger."""
    require_place(settings.database_location, may_create=True)
    with closing(open_database(settings.database_location)) as database:
        is_new = LedgerRecorder(database).prepare_schema(projector.tables())
        return database.place() if is_new else None


def ledger_place(settings: Settings) -> str:
    """Returns where the ledger of the settings is, for people. It has no password."""
    with closing(open_database(settings.database_location)) as database:
        return database.place()


def _console_key(settings: Settings) -> bytes:
    """Returns the key of console sessions. Without one, sessions on PostgreSQL are valid in this process only."""
    if settings.console_key:
        return settings.console_key.get_secret_value().encode()
    if settings.is_shared:
        return secrets.token_bytes(SECRET_BYTES)
    return load_console_key(Path(f"{settings.database}{CONSOLE_KEY_SUFFIX}"))


def _stored_secret(ledger: OfferLedger) -> bytes:
    with ledger.recorder.read() as tx:
        return find_secret(tx, PSEUDONYM_KEY)


def _this_process() -> str:
    """Returns a name that no other process ever has."""
    return f"{socket.gethostname()}:{os.getpid()}:{uuid4().hex[:8]}"
