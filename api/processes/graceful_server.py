"""A server that closes every connection when it shuts down, also one that it accepts meanwhile."""

import asyncio
import socket

from uvicorn import Server

CLOSE_SECONDS = 0.1


class GracefulServer(Server):
    """Closes a connection as soon as its reply has been sent."""

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        closing = asyncio.create_task(self._close_late_connections())
        try:
            await super().shutdown(sockets)
        finally:
            closing.cancel()

    async def _close_late_connections(self) -> None:
        """Asks all connections to close, repeatedly. uvicorn asks once, and misses those that it has accepted but not yet set up."""
        while True:
            await asyncio.sleep(CLOSE_SECONDS)
            for connection in list(self.server_state.connections):
                connection.shutdown()
