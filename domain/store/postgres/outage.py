"""Reports once that PostgreSQL can't be reached, and once that it can be reached again. Needs psycopg (extra `postgres`)."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock
from time import monotonic
from typing import Any, Self

import psycopg

SILENT_CONNECT_SECONDS = 1.0
"""After so long without an answer, an attempt to connect counts as an outage. Later it may still succeed."""

logger = logging.getLogger("offer_ledger")
# The pool logs each failed attempt of each connection. `Outage` reports the first one, and what the service does.
logging.getLogger("psycopg.pool").setLevel(logging.ERROR)


class Outage:
    """The present outage of a PostgreSQL server, as the connections of this process see it. Any thread may use it."""

    def __init__(self, retry_seconds: float) -> None:
        self._retry_seconds = retry_seconds
        self._lock = Lock()
        self._reason: str | None = None
        self._attempts: dict[object, float] = {}

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Watches an attempt to connect: its failure starts the outage, and its success ends it."""
        attempt = object()
        self._attempts[attempt] = monotonic()
        try:
            yield
        except psycopg.OperationalError as error:
            self._begin(next(iter(str(error).splitlines()), "no reason given"))
            raise
        else:
            self._end()
        finally:
            del self._attempts[attempt]

    def find_reason(self) -> str | None:
        """Returns why PostgreSQL can't be reached; None if it is reachable, as far as this process knows.

        An attempt to connect that gets no answer starts the outage here: it does not fail until it times out."""
        if any(monotonic() - started > SILENT_CONNECT_SECONDS for started in list(self._attempts.values())):
            self._begin("it does not answer")
        return self._reason

    def _begin(self, reason: str) -> None:
        with self._lock:
            is_new, self._reason = self._reason is None, reason
        if is_new:
            seconds = f"{self._retry_seconds:g}"
            logger.warning(
                "PostgreSQL can't be reached: %s; every transaction tries to connect for %s seconds", reason, seconds
            )

    def _end(self) -> None:
        with self._lock:
            was_out, self._reason = self._reason is not None, None
        if was_out:
            logger.warning("PostgreSQL can be reached again")


class WatchedConnection(psycopg.Connection[Any]):
    """A connection whose attempts to connect are watched."""

    @classmethod
    def connect(cls, conninfo: str = "", *, outage: Outage, **options: Any) -> Self:  # type: ignore[override]
        with outage.watching():
            return super().connect(conninfo, **options)
