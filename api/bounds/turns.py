"""Turns at work that is large: each holder has one at a time, and the others wait."""

from asyncio import Lock
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from weakref import WeakValueDictionary

from anyio import CapacityLimiter


class Turns:
    """A limit on large pieces of work that run at the same time: one for each holder, and `total` for all.

    Belongs to an event loop."""

    def __init__(self, total: int) -> None:
        self._total = CapacityLimiter(total)
        self._holders: WeakValueDictionary[str, Lock] = WeakValueDictionary()

    @asynccontextmanager
    async def take(self, holder: str) -> AsyncIterator[None]:
        """Waits for a turn, and keeps it while the block runs."""
        # A lock lives while a holder has it or waits for it.
        own = self._holders.setdefault(holder, Lock())
        async with own, self._total:
            yield
