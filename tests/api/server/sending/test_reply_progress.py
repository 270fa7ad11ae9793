"""A reply is cut off if its client reads too little of it while more waits to be sent, and only then."""

import asyncio
import socket

from api.bounds.settings import BoundSettings
from api.server.connections.reply_progress import WatchedTransport
from tests.support.waiting import PATIENCE_SECONDS

BOUNDS = BoundSettings(reply_progress_seconds=0.2, min_reply_bytes=1000)
LARGE = b"x" * 4_000_000
"""More than the operating system accepts while the client does not read."""


class Connection(asyncio.Protocol):
    def __init__(self) -> None:
        self.lost = asyncio.Event()

    def connection_lost(self, _: Exception | None) -> None:
        self.lost.set()


async def connect() -> tuple[WatchedTransport, Connection, socket.socket]:
    """Returns a watched transport, its protocol, and the client's socket."""
    server, client = socket.socketpair()
    client.settimeout(0)
    loop = asyncio.get_running_loop()
    transport, connection = await loop.create_connection(Connection, sock=server)
    return WatchedTransport(transport, loop, BOUNDS), connection, client


def test_reply_that_nobody_reads_is_cut_off() -> None:
    async def scenario() -> None:
        watched, connection, client = await connect()
        with client:
            watched.write(LARGE)
            await asyncio.wait_for(connection.lost.wait(), PATIENCE_SECONDS)
            assert watched.get_write_buffer_size() == 0

    asyncio.run(scenario())


def test_reply_to_a_slow_reader_is_completed() -> None:
    async def scenario() -> None:
        watched, connection, client = await connect()
        with client:
            watched.write(LARGE)
            received = 0
            while received < len(LARGE):
                received += len(await asyncio.get_running_loop().sock_recv(client, 200_000))
                await asyncio.sleep(0.02)
            assert not connection.lost.is_set()
            watched.close()

    asyncio.run(scenario())


def test_idle_connection_is_not_cut_off() -> None:
    async def scenario() -> None:
        watched, connection, client = await connect()
        with client:
            watched.write(b"news")
            await asyncio.sleep(3 * BOUNDS.reply_progress_seconds)
            assert not connection.lost.is_set()
            watched.close()

    asyncio.run(scenario())
