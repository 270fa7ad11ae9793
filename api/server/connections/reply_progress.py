"""Cuts off a reply that its client does not read."""

import asyncio
import logging
from collections.abc import Iterable
from typing import Any

from api.bounds.settings import BoundSettings

CUT_OFF = "cut off a reply: its client read less than %d bytes in %g s"

logger = logging.getLogger("offer_ledger")


class WatchedTransport(asyncio.Transport):
    """A transport that is aborted when its client reads too little while bytes wait to be sent.

    It counts what is written. What the operating system has accepted of it is progress: the rest waits in the buffer.
    The time begins when bytes have to wait, so a follower without news costs nothing."""

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop, bounds: BoundSettings) -> None:
        super().__init__()
        self._transport, self._loop, self._bounds = transport, loop, bounds
        self._written = self._progress = 0
        self._timer: asyncio.TimerHandle | None = None

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if self._timer is not None and not self._transport.get_write_buffer_size():
            self._timer.cancel()
            self._timer = None
        self._written += len(data)
        self._transport.write(data)
        if self._timer is None and self._transport.get_write_buffer_size():
            self._watch()

    def writelines(self, list_of_data: Iterable[bytes | bytearray | memoryview]) -> None:
        self.write(b"".join(list_of_data))

    def _watch(self) -> None:
        self._progress = self._written - self._transport.get_write_buffer_size()
        self._timer = self._loop.call_later(self._bounds.reply_progress_seconds, self._check)

    def _check(self) -> None:
        self._timer = None
        waiting = self._transport.get_write_buffer_size()
        if not waiting:
            return
        if self._written - waiting - self._progress < self._bounds.min_reply_bytes:
            logger.warning(CUT_OFF, self._bounds.min_reply_bytes, self._bounds.reply_progress_seconds)
            self._transport.abort()
        else:
            self._watch()

    # Everything else is passed on.

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self._transport.get_extra_info(name, default)

    def is_closing(self) -> bool:
        return self._transport.is_closing()

    def close(self) -> None:
        self._transport.close()

    def abort(self) -> None:
        self._transport.abort()

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self._transport.set_protocol(protocol)

    def get_protocol(self) -> asyncio.BaseProtocol:
        return self._transport.get_protocol()

    def is_reading(self) -> bool:
        return self._transport.is_reading()

    def pause_reading(self) -> None:
        self._transport.pause_reading()

    def resume_reading(self) -> None:
        self._transport.resume_reading()

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self._transport.set_write_buffer_limits(high, low)

    def get_write_buffer_size(self) -> int:
        return self._transport.get_write_buffer_size()

    def get_write_buffer_limits(self) -> tuple[int, int]:
        return self._transport.get_write_buffer_limits()

    def can_write_eof(self) -> bool:
        return self._transport.can_write_eof()

    def write_eof(self) -> None:
        try:
            self._transport.write_eof()
        except OSError:  # the client has reset the connection
            self._transport.abort()
