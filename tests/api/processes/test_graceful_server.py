"""A server that shuts down closes the connections that it accepts meanwhile."""

import asyncio
from typing import Any

import uvicorn
from uvicorn.lifespan.off import LifespanOff

from api.processes.graceful_server import GracefulServer


class LateConnection:
    """A connection that the server sets up after it has asked the others to close."""

    def __init__(self, connections: set[Any]) -> None:
        self._connections = connections
        self.is_closed = False

    def set_up(self) -> None:
        self._connections.add(self)

    def shutdown(self) -> None:
        self.is_closed = True
        self._connections.discard(self)


def test_connection_that_is_accepted_during_the_shutdown_is_closed() -> None:
    async def shut_down() -> LateConnection:
        config = uvicorn.Config("unused", timeout_graceful_shutdown=1)
        server = GracefulServer(config)
        server.servers, server.lifespan = [], LifespanOff(config)
        early, late = (LateConnection(server.server_state.connections) for _ in range(2))
        early.set_up()
        early.shutdown = late.set_up  # type: ignore[method-assign]
        await server.shutdown()
        return late

    assert asyncio.run(shut_down()).is_closed
