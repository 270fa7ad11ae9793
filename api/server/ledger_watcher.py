"""Has the ledger grown? Asked by all who follow it, looked up by one."""

import asyncio
import logging
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from threading import Event, Thread

from api.server.shutdown import ShutdownSignal
from api.server.streaming import StreamSlots
from domain.ledgers.ledger import OfferLedger, StorageError
from domain.store.commit import current_head

MAX_FOLLOWERS = 200

logger = logging.getLogger("offer_ledger")


class LedgerWatcher:
    """Lives in the event loop of a server. A thread looks while there are followers: another process may write too."""

    def __init__(self, ledger: OfferLedger, leaving: ShutdownSignal) -> None:
        self.room = StreamSlots(MAX_FOLLOWERS, "follow the ledger")
        self.leaving = leaving
        self._ledger = ledger
        self._position = 0
        self._news = asyncio.Event()
        self._over: Event | None = None

    @contextmanager
    def following(self) -> Iterator[None]:
        with self.room.place():
            if self._over is None:
                self._over = Event()
                Thread(target=self._look, args=(self._over, asyncio.get_running_loop()), daemon=True).start()
            try:
                yield
            finally:
                if self.room.taken == 1 and self._over is not None:
                    self._over.set()
                    self._over = None

    def newest(self) -> int:
        """The position of the newest event."""
        with self._ledger.recorder.read() as tx:
            return current_head(tx).position

    async def growth(self, position: int, seconds: float) -> None:
        """Returns when there is something after a position, when the time is over, or when the server shall end."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while self._position <= position and not self.leaving.is_set:
                    await self._news.wait()

    def _look(self, over: Event, loop: asyncio.AbstractEventLoop) -> None:
        def is_over() -> bool:
            return over.is_set() or self.leaving.is_set

        position, is_known, can_see = 0, True, True
        with closing(self._ledger.recorder.notifications()) as news:
            while not is_over():
                newest = self._seen()
                if (newest is not None) != can_see:
                    can_see = not can_see
                    logger.warning("The head of the ledger can %sbe read", "" if can_see else "not ")
                if newest is not None and newest > position:
                    position = newest
                    self._tell(loop, position)
                    if not is_known:
                        news.report_missed()
                is_known = news.wait(is_over)
        self._tell(loop, position)

    def _seen(self) -> int | None:
        """The newest position; None if it can't be read."""
        try:
            return self.newest()
        except StorageError:
            return None

    def _tell(self, loop: asyncio.AbstractEventLoop, position: int) -> None:
        with suppress(RuntimeError):  # the server has ended
            loop.call_soon_threadsafe(self._hear, position)

    def _hear(self, position: int) -> None:
        self._position = max(self._position, position)
        self._news.set()
        self._news = asyncio.Event()
