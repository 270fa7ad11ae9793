"""Notices new commits, once for all clients that follow the ledger."""

import asyncio
import logging
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from threading import Event, Thread

from api.bounds.settings import BoundSettings
from api.server.sending.row_memory import RowMemory
from api.server.shutdown import ShutdownSignal
from api.server.streaming import StreamPlaces, StreamThreads
from domain.ledgers.ledger import OfferLedger, StorageError
from domain.store.commit import current_head

UNREADABLE = "the newest position of the ledger can't be read; followers wait"
READABLE_AGAIN = "the newest position of the ledger can be read again"

logger = logging.getLogger("offer_ledger")


class LedgerWatcher:
    """Belongs to the event loop of a server. While it has followers, a thread waits for commits of any process."""

    def __init__(self, ledger: OfferLedger, settings: BoundSettings, shutdown: ShutdownSignal) -> None:
        self.places = StreamPlaces(settings, "followers", "max_followers_per_token")
        self.threads = StreamThreads()
        self.memory = RowMemory(settings)
        self.shutdown = shutdown
        self._followers = 0
        self._ledger = ledger
        self._position = 0
        self._grown = asyncio.Event()
        self._stop_thread: Event | None = None

    @contextmanager
    def following(self) -> Iterator[None]:
        """Counts a follower. The first one starts the thread, the last one stops it."""
        self._followers += 1
        if self._stop_thread is None:
            self._stop_thread = Event()
            thread_args = (self._stop_thread, asyncio.get_running_loop())
            Thread(target=self._watch, args=thread_args, daemon=True).start()
        try:
            yield
        finally:
            self._followers -= 1
            if not self._followers and self._stop_thread is not None:
                self._stop_thread.set()
                self._stop_thread = None

    def newest_position(self) -> int:
        """Returns the position of the newest event."""
        with self._ledger.recorder.read() as tx:
            return current_head(tx).position

    async def wait_for_growth(self, position: int, seconds: float) -> None:
        """Returns when the ledger has an event after `position`, after `seconds`, or when the server shuts down."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while self._position <= position and not self.shutdown.is_set:
                    await self._grown.wait()

    def _watch(self, stop: Event, loop: asyncio.AbstractEventLoop) -> None:
        def is_stopped() -> bool:
            return stop.is_set() or self.shutdown.is_set

        position, was_notified, is_readable = 0, True, True
        with closing(self._ledger.recorder.notifications()) as notifications:
            while not is_stopped():
                newest = self._readable_position()
                if (newest is not None) != is_readable:
                    is_readable = not is_readable
                    logger.warning(READABLE_AGAIN if is_readable else UNREADABLE)
                if newest is not None and newest > position:
                    position = newest
                    self._publish(loop, position)
                    if not was_notified:
                        notifications.report_missed()
                was_notified = notifications.wait(is_stopped)
        self._publish(loop, position)

    def _readable_position(self) -> int | None:
        """Returns the newest position, or None if the ledger can't be read."""
        try:
            return self.newest_position()
        except StorageError:
            return None

    def _publish(self, loop: asyncio.AbstractEventLoop, position: int) -> None:
        with suppress(RuntimeError):  # the event loop is closed
            loop.call_soon_threadsafe(self._set_position, position)

    def _set_position(self, position: int) -> None:
        self._position = max(self._position, position)
        self._grown.set()
        self._grown = asyncio.Event()
