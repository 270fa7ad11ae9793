"""Receives notifications of commits from PostgreSQL with LISTEN."""

from collections.abc import Callable
from contextlib import suppress
from time import monotonic, sleep
from typing import Any

import psycopg
from psycopg import sql

from domain.store.database import POLL_INTERVAL_SECONDS

LISTEN_TIMEOUT_SECONDS = 1.0
RELISTEN_DELAY_SECONDS = 5.0
CONNECT_SECONDS = 5
NOTIFY_TIMEOUT_SECONDS = 0.1
COALESCE_SECONDS = 0.03
"""Pause before each wait: notifications that arrive meanwhile cause one wake-up."""


class PostgresNotifications:
    """Commit notifications of a ledger in one schema.

    It uses a separate connection outside any transaction, so that it holds back no vacuum. If that is lost, or a connection pooler
    delivers no notifications, it falls back to polling."""

    def __init__(self, url: str, channel: str) -> None:
        self._url, self._channel = url, channel
        self._connection: psycopg.Connection[Any] | None = None
        self._listen_after = 0.0

    def wait(self, is_over: Callable[[], bool]) -> bool:
        connection = self._connection
        if connection is None:
            if monotonic() >= self._listen_after:
                self._listen()
            else:
                sleep(POLL_INTERVAL_SECONDS)
            return True
        sleep(COALESCE_SECONDS)
        deadline = monotonic() + LISTEN_TIMEOUT_SECONDS
        while monotonic() < deadline and not is_over():
            if self._is_notified(connection):
                return True
        return False

    def report_missed(self) -> None:
        """Closes the connection unless the notification arrives within NOTIFY_TIMEOUT_SECONDS."""
        if self._connection is not None and not self._is_notified(self._connection):
            self.close()

    def close(self) -> None:
        self._listen_after = monotonic() + RELISTEN_DELAY_SECONDS
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _is_notified(self, connection: psycopg.Connection[Any]) -> bool:
        """Waits up to NOTIFY_TIMEOUT_SECONDS. Also true if the connection is lost, because a notification may be lost with it."""
        try:
            return bool(list(connection.notifies(timeout=NOTIFY_TIMEOUT_SECONDS, stop_after=1)))
        except psycopg.Error:
            self.close()
            return True

    def _listen(self) -> None:
        """Starts to listen. The caller must then read earlier commits; later commits are notified."""
        with suppress(psycopg.Error):
            self._connection = psycopg.connect(self._url, autocommit=True, connect_timeout=CONNECT_SECONDS)
            self._connection.execute(sql.SQL("LISTEN {}").format(sql.Identifier(self._channel)))
            return
        self.close()
