"""Has the ledger grown? Asked by all who follow it, looked up by one."""

import asyncio
import logging
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http import HTTPStatus

from api.problems import Problem
from domain.ledger import OfferLedger, StorageError
from domain.store.commit import head_of

LOOKS_EVERY_SECONDS = 0.1
MAX_FOLLOWERS = 200
RETRY_SECONDS = 30

logger = logging.getLogger("offer_ledger")


class Lookout:
    """Lives in the event loop of a server. Looks while there are followers: another process may write too."""

    is_leaving = False
    """The server has been asked to end: nobody shall wait any longer."""

    def __init__(self, ledger: OfferLedger) -> None:
        self._ledger = ledger
        self._followers = 0
        self._position = 0
        self._news = asyncio.Event()
        self._looking: asyncio.Task[None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def require_room(self) -> None:
        """Raises Problem 503 when there are too many followers."""
        if self._followers >= MAX_FOLLOWERS:
            detail = f"{MAX_FOLLOWERS} callers follow the ledger already."
            headers = {"Retry-After": str(RETRY_SECONDS)}
            raise Problem(HTTPStatus.SERVICE_UNAVAILABLE, "too-many-followers", detail, headers=headers)

    @contextmanager
    def following(self) -> Iterator[None]:
        self._followers += 1
        if self._looking is None:
            self._loop = asyncio.get_running_loop()
            self._looking = self._loop.create_task(self._look())
        try:
            yield
        finally:
            self._followers -= 1
            if not self._followers and self._looking is not None:
                self._looking.cancel()
                self._looking = None

    async def growth(self, position: int, seconds: float) -> None:
        """Returns when there is something after a position, when the time is over, or when the server shall end."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while self._position <= position and not self.is_leaving:
                    await self._news.wait()

    def leave(self) -> None:
        """May be called from a signal handler."""
        self.is_leaving = True
        if self._loop:
            self._loop.call_soon_threadsafe(self._tell)

    async def _look(self) -> None:
        while True:
            try:
                # A row of a snapshot, which no writer holds up.
                with self._ledger.recorder.reading() as tx:
                    position = head_of(tx).position
            except StorageError:
                logger.exception("The head of the ledger can't be read")
                position = self._position
            if position != self._position:
                self._position = position
                self._tell()
            await asyncio.sleep(LOOKS_EVERY_SECONDS)

    def _tell(self) -> None:
        self._news.set()
        self._news = asyncio.Event()
