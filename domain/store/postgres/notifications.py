"""When has something been committed, by whichever process? PostgreSQL tells those who listen."""

from collections.abc import Callable
from contextlib import suppress
from time import monotonic, sleep
from typing import Any

import psycopg
from psycopg import sql

from domain.store.database import POLL_INTERVAL_SECONDS

LOOKS_WHILE_LISTENING_SECONDS = 1.0
LISTENS_AGAIN_AFTER_SECONDS = 5.0
CONNECT_SECONDS = 5
MOMENT_SECONDS = 0.1
RECONNECT_PAUSE_SECONDS = 0.03
"""What is told meanwhile is told at once."""


class PostgresNotifications:
    """Of a ledger in one schema, by a connection of its own, which is in no transaction: so it keeps nothing back. Without one
    (it was lost, or a pooler keeps the news to itself), it is time to look as often as where nobody tells anything."""

    def __init__(self, url: str, channel: str) -> None:
        self._url, self._channel = url, channel
        self._connection: psycopg.Connection[Any] | None = None
        self._listens_at = 0.0

    def wait(self, is_over: Callable[[], bool]) -> bool:
        connection = self._connection
        if connection is None:
            if monotonic() >= self._listens_at:
                self._listen()
            else:
                sleep(POLL_INTERVAL_SECONDS)
            return True
        sleep(RECONNECT_PAUSE_SECONDS)
        deadline = monotonic() + LOOKS_WHILE_LISTENING_SECONDS
        while monotonic() < deadline and not is_over():
            if self._is_told(connection):
                return True
        return False

    def missed(self) -> None:
        """Unless it comes a little later, nothing will."""
        if self._connection is not None and not self._is_told(self._connection):
            self.close()

    def close(self) -> None:
        self._listens_at = monotonic() + LISTENS_AGAIN_AFTER_SECONDS
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _is_told(self, connection: psycopg.Connection[Any]) -> bool:
        """Within a moment; also by the loss of the connection, for what came with it."""
        try:
            return bool(list(connection.notifies(timeout=MOMENT_SECONDS, stop_after=1)))
        except psycopg.Error:
            self.close()
            return True

    def _listen(self) -> None:
        """What was committed before is found by who looks now, what is committed later will be told."""
        with suppress(psycopg.Error):
            self._connection = psycopg.connect(self._url, autocommit=True, connect_timeout=CONNECT_SECONDS)
            self._connection.execute(sql.SQL("LISTEN {}").format(sql.Identifier(self._channel)))
            return
        self.close()
