"""The event loop of a server: it accepts connections within the limit of descriptors."""

import asyncio
import errno
import os
import socket
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

from api.bounds.settings import BoundSettings
from api.server.connections.table import ConnectionTable, connection_limit

EVENT_LOOP = f"{__name__}:new_event_loop"
"""The name by which uvicorn imports the loop, in each server process."""
ACCEPTED_AT_ONCE = 16
"""So many connections are accepted before the event loop continues with the others."""
RECEIVE_BYTES = 64 * 1024

_OUT_OF_DESCRIPTORS = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}


class BoundedEventLoop(asyncio.SelectorEventLoop):
    """Has the table of the server's connections, and the buffer in which they receive.

    The event loop empties the buffer before another connection receives, so one buffer is enough."""

    def __init__(self) -> None:
        super().__init__()
        self.bounds = BoundSettings()
        self.connections = ConnectionTable(connection_limit(self.bounds), self.time)
        self.buffer = memoryview(bytearray(RECEIVE_BYTES))

    async def create_server(self, protocol_factory: Any, *args: Any, **options: Any) -> Any:
        if listener := options.get("sock"):
            options["sock"] = BoundedListener(listener, self.connections)
        return await super().create_server(protocol_factory, *args, **options)


def new_event_loop() -> BoundedEventLoop:
    return BoundedEventLoop()


def loop_of_server(loop: asyncio.AbstractEventLoop) -> BoundedEventLoop:
    assert isinstance(loop, BoundedEventLoop)
    return loop


class BoundedListener(socket.socket):
    """A listening socket that makes room before it accepts a connection. The event loop calls `accept` in a row, and
    continues with other work after BlockingIOError."""

    def __init__(self, listener: socket.socket, connections: ConnectionTable) -> None:
        super().__init__(listener.family, listener.type, listener.proto, fileno=os.dup(listener.fileno()))
        self._connections = connections
        self._in_a_row = 0
        self._spare = _open_spare()

    def accept(self) -> tuple[socket.socket, Any]:
        """Raises BlockingIOError if no connection waits, and if others must have their turn first."""
        if self._in_a_row >= ACCEPTED_AT_ONCE:
            self._in_a_row = 0
            raise BlockingIOError
        try:
            accepted = super().accept()
        except OSError as error:
            self._in_a_row = 0
            if error.errno in _OUT_OF_DESCRIPTORS:
                self._refuse_one()
                raise BlockingIOError from None
            raise
        self._in_a_row += 1
        made = len(self._connections) + self._in_a_row
        while made > self._connections.limit and self._connections.make_room():
            made -= 1
            # Before the next connection is closed, the event loop reads what has arrived: perhaps its request.
            self._in_a_row = ACCEPTED_AT_ONCE
        return accepted

    def _refuse_one(self) -> None:
        """Files took all descriptors. Closes a connection for the next attempt; if there is none, refuses the newest.

        Otherwise the event loop would report the waiting connection again and again."""
        if self._connections.make_room():
            return
        self._spare.close()
        with suppress(OSError):
            super().accept()[0].close()
        with suppress(OSError):
            self._spare = _open_spare()

    def close(self) -> None:
        self._spare.close()
        super().close()


def _open_spare() -> BinaryIO:
    return Path(os.devnull).open("rb")
