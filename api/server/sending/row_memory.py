"""Bounds the memory of large rows that streams have read and their clients have not."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Hashable
from contextlib import asynccontextmanager
from typing import Any, Generic, TypeVar
from weakref import WeakValueDictionary

from api.bounds.allowances import Allowance, AllowanceExceeded
from api.bounds.settings import BoundSettings

_Place = TypeVar("_Place")

SMALL_BATCH_BYTES = 256 * 1024
"""Batches up to this size are not counted: a stream holds one, and streams have places."""


class StreamBatch(Generic[_Place]):
    """Rows of a stream as they are sent. `place` is where the stream continues, unless the batch `is_last`.

    `key` identifies the data of a batch that has one row. None: the data is never shared."""

    __slots__ = ("__weakref__", "_original", "data", "is_last", "key", "place")

    def __init__(self, data: bytes, place: _Place, key: Hashable = None, *, is_last: bool) -> None:
        self.data, self.place, self.key, self.is_last = data, place, key, is_last
        self._original: StreamBatch[Any] | None = None

    def share(self, original: "StreamBatch[Any]") -> None:
        """Replaces the data by that of another batch with the same key, and keeps that one alive."""
        if original is not self:
            self.data, self._original = original.data, original


class RowMemory:
    """Belongs to the event loop of a server. A stream whose batch exceeds a bound waits until others have been sent.

    Streams that send the same row hold it once. The bounds count it for each, because any of them can be the last."""

    def __init__(self, settings: BoundSettings) -> None:
        self._allowance = Allowance(settings.max_waiting_reply_bytes_per_token, settings.max_waiting_reply_bytes)
        self._shared: WeakValueDictionary[Hashable, StreamBatch[Any]] = WeakValueDictionary()
        self._freed = asyncio.Event()

    @asynccontextmanager
    async def hold(
        self,
        token_name: str,
        read: Callable[[], Awaitable[StreamBatch[_Place]]],
        first: StreamBatch[_Place] | None = None,
    ) -> AsyncIterator[StreamBatch[_Place]]:
        """Reads a batch, and counts it while the block runs. `first`: the batch, if it has just been read."""
        batch, first = first or await read(), None
        if len(batch.data) <= SMALL_BATCH_BYTES:
            yield batch
            return
        amount = min(len(batch.data), self._allowance.per_holder, self._allowance.total)
        if not self._take(token_name, amount):
            # A stream that waits holds nothing, so it reads its batch again.
            del batch
            while not self._take(token_name, amount):
                await self._freed.wait()
            try:
                batch = await read()
            except BaseException:
                self._give_back(token_name, amount)
                raise
        if batch.key is not None:
            batch.share(self._shared.setdefault(batch.key, batch))
        try:
            yield batch
        finally:
            self._give_back(token_name, amount)

    def _take(self, token_name: str, amount: int) -> bool:
        try:
            self._allowance.take(token_name, amount)
        except AllowanceExceeded:
            return False
        return True

    def _give_back(self, token_name: str, amount: int) -> None:
        self._allowance.give_back(token_name, amount)
        self._freed.set()
        self._freed = asyncio.Event()
