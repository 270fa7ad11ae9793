"""Turns at work that is large: each holder has a few at a time, by default one, and the others wait."""

from asyncio import Semaphore
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from weakref import WeakValueDictionary


class Turns:
    """A limit on large pieces of work that run at the same time: `per_holder` for each holder, and `total` for all.

    Belongs to an event loop."""

    def __init__(self, total: int, per_holder: int = 1) -> None:
        # Another task may give the turn back, which a CapacityLimiter does not allow.
        self._total, self._per_holder = Semaphore(total), per_holder
        self._holders: WeakValueDictionary[str, Semaphore] = WeakValueDictionary()

    def is_free(self, holder: str) -> bool:
        """Returns True if the holder can take a turn at once."""
        own = self._holders.get(holder)
        return not (self._total.locked() or (own and own.locked()))

    @asynccontextmanager
    async def take(self, holder: str) -> AsyncIterator[None]:
        """Waits for a turn, and keeps it while the block runs."""
        # A semaphore lives while a holder has it or waits for it.
        own = self._holders.setdefault(holder, Semaphore(self._per_holder))
        async with own, self._total:
            yield
