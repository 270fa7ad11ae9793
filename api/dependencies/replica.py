"""Is the standby there to be read? No read fails because it is not, nor waits for it long."""

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
    """Only who meets the beginning of an outage waits at all, and a thread finds out when it is over."""

    def __init__(self, connections: "ReplicaConnections") -> None:
        self.is_available = False
        self._connections = connections
        self._looking: Thread | None = None
        self._closing = Event()
        self._lock = Lock()

    @contextmanager
    def open(self) -> Iterator[None]:
        self._connections.open()
        self._look_for_it()
        try:
            yield
        finally:
            self._closing.set()
            self._connections.close()

    @contextmanager
    def read(self) -> Iterator[Cursor]:
        """A transaction that sees one snapshot of whatever has been replayed. Raises StorageError."""
        with ExitStack() as stack:
            try:
                tx = stack.enter_context(self._connections.read())
            except StorageError:
                self._look_for_it()
                raise
            yield tx

    def _look_for_it(self) -> None:
        with self._lock:
            self.is_available = False
            if self._looking is None:
                self._looking = Thread(target=self._look, daemon=True)
                self._looking.start()

    def _look(self) -> None:
        is_told = False
        while not self._closing.is_set():
            try:
                self._connections.check()
            except (StorageError, SchemaMismatch) as error:
                if not is_told:
                    logger.warning("The standby can't be read, so the primary answers: %s", error)
                    is_told = True
                self._closing.wait(REPLICA_RETRY_SECONDS)
                continue
            with self._lock:
                self.is_available, self._looking = True, None
            if is_told:
                logger.warning("The standby can be read again.")
            return


def replica_of(service: Service) -> Replica | None:
    """None if no setting names one."""
    return Replica(_connections(service)) if service.settings.replica_url else None


def require_replica_of(service: Service) -> None:
    """Raises SchemaMismatch for a copy of another ledger. One that can't be read may come later."""
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

    place = service.settings.database_location
    return ReplicaConnections(place._replace(url=service.settings.replica_url or ""), name)
