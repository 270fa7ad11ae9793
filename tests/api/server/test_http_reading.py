"""The protocol reads little while a reply is unfinished. A transport records it."""

import asyncio
import errno
import os
from collections.abc import Iterator
from typing import Any

import pytest
from uvicorn import Config
from uvicorn.server import ServerState

from api.server.connections.event_loop import BoundedEventLoop
from api.server.connections.protocol import BoundedHttpProtocol

GET = b"GET /%d HTTP/1.1\r\nHost: h\r\n\r\n"
MOST = 64 * 1024


class RecordingTransport(asyncio.Transport):
    def __init__(self) -> None:
        super().__init__()
        self.sent = b""
        self.reads, self.is_closed, self.has_eof = True, False, False
        self.is_reset = self.is_aborted = False

    def write(self, data: Any) -> None:
        self.sent += data

    def get_write_buffer_size(self) -> int:
        return 0

    def pause_reading(self) -> None:
        self.reads = False

    def resume_reading(self) -> None:
        self.reads = True

    def write_eof(self) -> None:
        if self.is_reset:
            raise OSError(errno.ENOTCONN, os.strerror(errno.ENOTCONN))
        self.has_eof = True

    def abort(self) -> None:
        self.is_aborted = True

    def close(self) -> None:
        self.is_closed = True

    def is_closing(self) -> bool:
        return self.is_closed


class Application:
    """Answers each request when the test allows it, and records the paths. If it `reads`, it waits for the whole body."""

    def __init__(self) -> None:
        self.paths: list[str] = []
        self.reads = self.has_body = False
        self.allowed = asyncio.Event()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.paths.append(scope["path"])
        while self.reads and not self.has_body:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            self.has_body = not message["more_body"]
        await self.allowed.wait()
        headers = [(b"content-length", b"0")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body"})


class Connection:
    def __init__(self, loop: BoundedEventLoop) -> None:
        self.loop, self.transport, self.application = loop, RecordingTransport(), Application()
        config = Config(self.application, log_config=None, lifespan="off")
        self.protocol = BoundedHttpProtocol(config=config, server_state=ServerState(), app_state={}, _loop=loop)
        self.protocol.connection_made(self.transport)

    def receive(self, data: bytes) -> None:
        """Receives as much as the protocol takes, as the event loop does."""
        while data and self.transport.reads:
            buffer = self.protocol.get_buffer(-1)
            count = min(len(buffer), len(data))
            buffer[:count] = data[:count]
            self.protocol.buffer_updated(count)
            data = data[count:]
        self.unread = len(data)
        self.turn()

    def answer(self) -> None:
        self.application.allowed.set()
        self.turn()

    def turn(self) -> None:
        async def wait_for_tasks() -> None:
            for _ in range(10):
                await asyncio.sleep(0)

        self.loop.run_until_complete(wait_for_tasks())


@pytest.fixture
def connection() -> Iterator[Connection]:
    loop = BoundedEventLoop()
    connection = Connection(loop)
    yield connection
    connection.protocol.connection_lost(None)
    connection.answer()
    loop.close()


def test_one_request_is_parsed_at_a_time(connection: Connection) -> None:
    connection.receive(b"".join(GET % number for number in range(3)))
    assert connection.application.paths == ["/0"]
    connection.answer()
    connection.turn()
    assert connection.application.paths == ["/0", "/1", "/2"]
    assert connection.transport.sent.count(b"HTTP/1.1 200") == 3


def test_reading_stops_while_64_kib_wait_for_a_reply(connection: Connection) -> None:
    block = GET % 1
    connection.receive(GET % 0 + block * 10_000)
    assert not connection.transport.reads
    assert connection.unread >= len(block) * 10_000 - MOST
    connection.protocol.flow.resume_reading()
    assert not connection.transport.reads
    connection.answer()
    assert connection.transport.reads


def test_request_sent_ahead_does_not_stop_reading(connection: Connection) -> None:
    # So the server still learns that the client is gone.
    connection.receive(GET % 0 + GET % 1)
    assert connection.transport.reads


def test_connection_ends_after_a_reply_before_the_whole_body(connection: Connection) -> None:
    connection.receive(b"POST /0 HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\n{")
    connection.answer()
    assert b"\r\nconnection: close\r\n" in connection.transport.sent
    assert (connection.transport.has_eof, connection.transport.is_closed) == (True, False)
    connection.receive(b"}" * 100_000 + GET % 1)
    assert connection.application.paths == ["/0"]
    assert connection.transport.sent.count(b"HTTP/1.1") == 1


def test_connection_stays_after_a_reply_to_a_whole_body(connection: Connection) -> None:
    connection.receive(b"POST /0 HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\n{")
    connection.receive(b" " * 8 + GET % 1)
    connection.answer()
    assert b"connection: close" not in connection.transport.sent
    assert connection.application.paths == ["/0", "/1"]


def test_connection_that_the_client_resets_is_aborted(connection: Connection, caplog: pytest.LogCaptureFixture) -> None:
    connection.receive(b"POST /0 HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\n{")
    connection.transport.is_reset = True
    connection.answer()
    assert connection.transport.is_aborted
    assert caplog.text == ""


def test_connection_that_closes_after_its_reply_takes_no_request(connection: Connection) -> None:
    connection.receive(GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n") % 0 + GET % 1)
    connection.answer()
    assert connection.application.paths == ["/0"]
    assert connection.transport.sent.count(b"HTTP/1.1") == 1
    assert connection.transport.has_eof


def test_body_with_too_large_trailers_is_never_complete(connection: Connection) -> None:
    connection.application.reads = True
    connection.receive(b"POST /0 HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n")
    trailer = b"A: " + b"a" * (MOST - 200) + b"\r\n"
    connection.receive(b"2\r\n{}\r\n0\r\n" + trailer)
    assert connection.transport.sent == b""
    connection.receive(b"B: " + b"b" * 200 + b"\r\n\r\n")
    assert connection.transport.sent.startswith(b"HTTP/1.1 431 ")
    assert not connection.application.has_body
