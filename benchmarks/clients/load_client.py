"""A load generator that measures the latency of each request. It uses little CPU, so that the server has the machine.

Each connection sends one request after the other until the time is over or SIGTERM arrives. The process prints its
figures as JSON. It exits with an error if a reply has another status than the expected one.
"""

import asyncio
import gc
import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from math import inf
from typing import Any, NamedTuple
from urllib.parse import urlsplit

LENGTH = b"\r\ncontent-length: "


class Target(NamedTuple):
    """The address of the server, and the token of the client."""

    host: str
    port: int
    secret: str


Requests = Callable[[Target, str], Iterator[bytes]]
"""Returns the requests of a connection. Each connection has its own mark, which makes its ids unique."""


class Connection(asyncio.Protocol):
    """A connection that sends its next request when the reply to the previous one is complete."""

    def __init__(self, requests: Iterator[bytes], expected_status: bytes, seconds: float) -> None:
        self._requests = requests
        self._awaited = expected_status
        self._seconds = seconds
        self._received = b""
        self._sent_at = self._until = 0.0
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.milliseconds: list[float] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def begin(self, now: float) -> None:
        self._until = now + self._seconds
        self._send(now)

    def end(self) -> None:
        """Ends the connection after the reply to the present request."""
        self._until = 0.0

    def data_received(self, data: bytes) -> None:
        self._received += data
        if not self._is_complete():
            return
        now = time.perf_counter()
        if not self._received.startswith(self._awaited):
            self.ended.set_exception(RuntimeError(self._received.decode()))
            return
        self.milliseconds.append((now - self._sent_at) * 1000)
        self._received = b""
        if now < self._until:
            self._send(now)
        else:
            self.ended.set_result(None)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.ended.done():
            self.ended.set_exception(exc or ConnectionResetError("The server closed the connection"))

    def _send(self, now: float) -> None:
        request = next(self._requests)
        self._sent_at = now
        self._transport.write(request)

    def _is_complete(self) -> bool:
        head, ended, body = self._received.partition(b"\r\n\r\n")
        length = head.lower().partition(LENGTH)[2].partition(b"\r\n")[0]
        return bool(ended) and len(body) >= int(length)


def send(requests: Requests, expected_status: bytes) -> None:
    """Runs a client process, with the arguments of `run_client`. Each reply must start with `expected_status`."""
    host, port, secret, mark, connections, seconds = sys.argv[1:]
    gc.disable()
    target = Target(host, int(port), secret)
    streams = [requests(target, f"{mark}-{n}") for n in range(int(connections))]
    factories = [partial(Connection, stream, expected_status, float(seconds)) for stream in streams]
    asyncio.run(_send_all(target, factories))


def run_client(module: str, url: str, secret: str, mark: int, connections: int, seconds: float) -> dict[str, Any]:
    """Runs a client process. Returns the total `seconds`, and the `milliseconds` of each request."""
    return _read_result(_start_client(module, url, secret, mark, connections, seconds))


@contextmanager
def background_client(module: str, url: str, secret: str, mark: int) -> Iterator[list[float]]:
    """Sends on one connection while the block runs. The list gets the milliseconds of each request at the end."""
    client = _start_client(module, url, secret, mark, 1, inf)
    milliseconds: list[float] = []
    try:
        yield milliseconds
    finally:
        client.terminate()
        milliseconds += _read_result(client)["milliseconds"]


def _start_client(
    module: str, url: str, secret: str, mark: int, connections: int, seconds: float
) -> subprocess.Popen[bytes]:
    """Starts a client process and waits until it sends."""
    address = urlsplit(url)
    target = (str(address.hostname), str(address.port), secret, str(mark), str(connections), str(seconds))
    client = subprocess.Popen([sys.executable, "-m", module, *target], stdout=subprocess.PIPE)
    assert client.stdout
    client.stdout.readline()
    return client


def _read_result(client: subprocess.Popen[bytes]) -> dict[str, Any]:
    output, _ = client.communicate()
    if client.returncode:
        raise subprocess.CalledProcessError(client.returncode, client.args)
    result: dict[str, Any] = json.loads(output)
    return result


async def _send_all(target: Target, factories: Sequence[Callable[[], Connection]]) -> None:
    loop = asyncio.get_running_loop()
    connections = [(await loop.create_connection(factory, target.host, target.port))[1] for factory in factories]
    loop.add_signal_handler(signal.SIGTERM, _end_all, connections)
    print("sending", flush=True)
    started = time.perf_counter()
    for connection in connections:
        connection.begin(started)
    await asyncio.gather(*(connection.ended for connection in connections))
    seconds = time.perf_counter() - started
    milliseconds = [latency for connection in connections for latency in connection.milliseconds]
    print(json.dumps({"seconds": seconds, "milliseconds": milliseconds}))


def _end_all(connections: Sequence[Connection]) -> None:
    for connection in connections:
        connection.end()
