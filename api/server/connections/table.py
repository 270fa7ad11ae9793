"""The table of a server's connections: which one is closed to make room for a new one."""

import logging
import resource
from collections import Counter
from collections.abc import Callable
from typing import Protocol

from api.bounds.settings import BoundSettings

MAX_DESCRIPTORS = 65_536
"""The server raises its own limit of descriptors up to this. A higher limit that the operator sets stays."""
MAX_LEAVING = 16
"""So many connections may still send their reply after the table has chosen them. All others are cut off."""
REPORT_SECONDS = 60.0

CLOSED = "closed %d connections to make room for new ones: all %d were in use"

logger = logging.getLogger("offer_ledger")


class Connection(Protocol):
    @property
    def holder(self) -> str | None:
        """The name of the token whose request is in progress."""

    @property
    def is_served(self) -> bool:
        """The request is complete, and the server works on its reply."""

    def leave(self) -> None:
        """Ends the connection after the present reply."""

    def abort(self) -> None: ...


class ConnectionTable:
    """Belongs to the event loop of a server.

    The table learns only when it looks that a request has been authenticated, so that requests cost it nothing."""

    def __init__(self, limit: int, monotonic: Callable[[], float]) -> None:
        self.limit, self._monotonic = limit, monotonic
        self._waiting: dict[Connection, None] = {}
        """Connections by the time since which they wait without an authenticated request, the longest first."""
        self._busy: dict[Connection, str] = {}
        """Connections with an authenticated request in progress when the table last looked, and the token's name."""
        self._numbers: dict[Connection, int] = {}
        self._leaving: set[Connection] = set()
        self._made = self._closed = 0
        self._reported_at: float | None = None

    def __len__(self) -> int:
        return len(self._numbers)

    def add(self, connection: Connection) -> None:
        self._made += 1
        self._numbers[connection] = self._made
        self._waiting[connection] = None

    def remove(self, connection: Connection) -> None:
        self._numbers.pop(connection, None)
        self._waiting.pop(connection, None)
        self._busy.pop(connection, None)
        self._leaving.discard(connection)

    def end_request(self, connection: Connection) -> None:
        """An authenticated request of this connection has ended. From now on, the connection waits."""
        if connection in self._numbers:
            self._busy.pop(connection, None)
            self._waiting.pop(connection, None)
            self._waiting[connection] = None

    def make_room(self) -> bool:
        """Closes a connection. Returns False if there is none."""
        chosen = self._longest_waiting() or self._oldest_of_largest_holder()
        if chosen is None:
            return False
        # The descriptor is free only later. The reserve covers that time.
        self.remove(chosen)
        if chosen.is_served and len(self._leaving) < MAX_LEAVING:
            self._leaving.add(chosen)
            chosen.leave()
        else:
            chosen.abort()
        self._closed += 1
        self._report()
        return True

    def _longest_waiting(self) -> Connection | None:
        while self._waiting:
            connection = next(iter(self._waiting))
            if connection.holder is None:
                return connection
            del self._waiting[connection]
            self._busy[connection] = connection.holder
        return None

    def _oldest_of_largest_holder(self) -> Connection | None:
        if not self._busy:
            return None
        ((largest, _),) = Counter(self._busy.values()).most_common(1)
        return min((each for each, holder in self._busy.items() if holder == largest), key=self._numbers.__getitem__)

    def _report(self) -> None:
        now = self._monotonic()
        if self._reported_at is None or now - self._reported_at >= REPORT_SECONDS:
            logger.warning(CLOSED, self._closed, self.limit)
            self._reported_at, self._closed = now, 0


def connection_limit(settings: BoundSettings) -> int:
    """Returns the number of connections that this process can have. Raises the process's limit of descriptors first."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    unlimited = resource.RLIM_INFINITY
    wanted = MAX_DESCRIPTORS if hard == unlimited else min(hard, MAX_DESCRIPTORS)
    if soft != unlimited and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        soft = wanted
    if soft == unlimited:
        soft = MAX_DESCRIPTORS
    return soft - min(settings.reserved_descriptors, soft // 2)
