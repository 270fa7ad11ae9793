"""Has the ledger grown? Asked by all who follow it, looked up by one."""

import asyncio
import logging
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from anyio import to_thread

from api.leaving import Leaving
from api.streams import Room
from domain.ledger import OfferLedger, StorageError
from domain.store.commit import head_of

LOOKS_EVERY_SECONDS = 0.1
MAX_FOLLOWERS = 200

logger = logging.getLogger("offer_ledger")


class Lookout:
    """Lives in the event loop of a server. Looks while there are followers: another process may write too."""

    def __init__(self, ledger: OfferLedger, leaving: Leaving) -> None:
        self.room = Room(MAX_FOLLOWERS, "follow the ledger")
        self.leaving = leaving
        self._ledger = ledger
        self._position = 0
        self._news = asyncio.Event()
        self._looking: asyncio.Task[None] | None = None

    @contextmanager
    def following(self) -> Iterator[None]:
        with self.room.place():
            if self._looking is None:
                self._looking = asyncio.create_task(self._look())
            try:
                yield
            finally:
                if self.room.taken == 1 and self._looking is not None:
                    self._looking.cancel()
                    self._looking = None

    def newest(self) -> int:
        """The position of the newest event."""
        with self._ledger.recorder.reading() as tx:
            return head_of(tx).position

    async def growth(self, position: int, seconds: float) -> None:
        """Returns when there is something after a position, when the time is over, or when the server shall end."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while self._position <= position and not self.leaving.is_told:
                    await self._news.wait()

    async def _look(self) -> None:
        while True:
            try:
                position = await to_thread.run_sync(self.newest)
            except StorageError:
                logger.exception("The head of the ledger can't be read")
                position = self._position
            if position != self._position:
                self._position = position
                self._tell()
            with suppress(TimeoutError):
                await asyncio.wait_for(self.leaving.wait(), LOOKS_EVERY_SECONDS)
                self._tell()
                return

    def _tell(self) -> None:
        self._news.set()
        self._news = asyncio.Event()
