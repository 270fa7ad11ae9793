"""The replica: a hot standby of the ledger's PostgreSQL. While it is not available, the primary answers reads."""

import logging
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from threading import Event, Lock, Thread
from typing import TYPE_CHECKING

from api.service import Service
from domain.ledgers.ledger import StorageError
from domain.store.commit import ledger_name
from domain.store.cursor import Cursor
from domain.store.schema import SchemaMismatch

if TYPE_CHECKING:
    from domain.store.postgres.replica import ReplicaConnections

REPLICA_RETRY_SECONDS = 5.0

logger = logging.getLogger("offer_ledger")


class Replica:
    """Only reads at the beginning of an outage wait for a timeout. A thread then checks when the replica is back."""

    def __init__(self, connections: "ReplicaConnections") -> None:
        self.is_available = False
        self._connections = connections
        self._checker: Thread | None = None
        self._closing = Event()
        self._lock = Lock()

    @contextmanager
    def open(self) -> Iterator[None]:
        self._connections.open()
        self._check_in_background()
        try:
            yield
        finally:
            self._closing.set()
            self._connections.close()

    @contextmanager
    def read(self) -> Iterator[Cursor]:
        """Opens a transaction that reads one snapshot of what the replica has replayed. Raises StorageError."""
        with ExitStack() as stack:
            try:
                tx = stack.enter_context(self._connections.read())
            except StorageError:
                self._check_in_background()
                raise
            yield tx

    def _check_in_background(self) -> None:
        with self._lock:
            self.is_available = False
            if self._checker is None:
                self._checker = Thread(target=self._check_until_available, daemon=True)
                self._checker.start()

    def _check_until_available(self) -> None:
        is_logged = False
        while not self._closing.is_set():
            try:
                self._connections.check()
            except (StorageError, SchemaMismatch) as error:
                if not is_logged:
                    logger.warning("The replica can't be read, so the primary answers: %s", error)
                    is_logged = True
                self._closing.wait(REPLICA_RETRY_SECONDS)
                continue
            with self._lock:
                self.is_available, self._checker = True, None
            if is_logged:
                logger.warning("The replica can be read again")
            return


def replica_of(service: Service) -> Replica | None:
    """Returns None if no replica is configured."""
    return Replica(_connections(service)) if service.settings.replica_url else None


def require_replica_of(service: Service) -> None:
    """Raises SchemaMismatch if the replica has another ledger. It may be unavailable: it can become available later."""
    if service.settings.replica_url:
        try:
            _connections(service).check()
        except SchemaMismatch:
            raise
        except StorageError:
            pass


def _connections(service: Service) -> "ReplicaConnections":
    from domain.store.postgres.replica import ReplicaConnections

    def name() -> str:
        with service.ledger.recorder.read() as tx:
            return ledger_name(tx)

    location = service.settings.database_location
    return ReplicaConnections(location._replace(url=service.settings.replica_url or ""), name)
