"""What do requests cost their senders? One process that does little beside sending, so that the server has the machine.

Every connection sends one request after the other until the time is over, or until it is told to end (SIGTERM). Tells what it
met as JSON; ends with an error at anything but the answer that is awaited.
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
    """Who is sent to, and as whom."""

    host: str
    port: int
    secret: str


Requests = Callable[[Target, str], Iterator[bytes]]
"""Those of a connection, by its mark."""


class Connection(asyncio.Protocol):
    """Sends the next request when the answer to the one before is complete."""

    def __init__(self, requests: Iterator[bytes], awaited: bytes, seconds: float) -> None:
        self._requests = requests
        self._awaited = awaited
        self._seconds = seconds
        self._received = b""
        self._sent_at = self._until = 0.0
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.milliseconds: list[float] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - it is one of TCP
        self._transport = transport

    def begin(self, now: float) -> None:
        self._until = now + self._seconds
        self._send(now)

    def end(self) -> None:
        """When the answer has come that is waited for."""
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
            self.ended.set_exception(exc or ConnectionResetError("The server has hung up"))

    def _send(self, now: float) -> None:
        request = next(self._requests)
        self._sent_at = now
        self._transport.write(request)

    def _is_complete(self) -> bool:
        head, ended, body = self._received.partition(b"\r\n\r\n")
        length = head.lower().partition(LENGTH)[2].partition(b"\r\n")[0]
        return bool(ended) and len(body) >= int(length)


def send(requests: Requests, awaited: bytes) -> None:
    """The whole of a client, as `run_client` calls it; `awaited`: how every answer has to begin."""
    host, port, secret, mark, connections, seconds = sys.argv[1:]
    gc.disable()
    target = Target(host, int(port), secret)
    made = [requests(target, f"{mark}-{n}") for n in range(int(connections))]
    asyncio.run(_send_all(target, [partial(Connection, one, awaited, float(seconds)) for one in made]))


def run_client(module: str, url: str, secret: str, mark: int, connections: int, seconds: float) -> dict[str, Any]:
    """What a client in a process of its own has met: `seconds` in all, and the `milliseconds` of each request."""
    return _told(_begin_client(module, url, secret, mark, connections, seconds))


@contextmanager
def client_meanwhile(module: str, url: str, secret: str, mark: int) -> Iterator[list[float]]:
    """Sends on one connection while the block runs; at its end, there are the milliseconds of each request."""
    client = _begin_client(module, url, secret, mark, 1, inf)
    milliseconds: list[float] = []
    try:
        yield milliseconds
    finally:
        client.terminate()
        milliseconds += _told(client)["milliseconds"]


def _begin_client(
    module: str, url: str, secret: str, mark: int, connections: int, seconds: float
) -> subprocess.Popen[bytes]:
    """It sends already."""
    address = urlsplit(url)
    target = (str(address.hostname), str(address.port), secret, str(mark), str(connections), str(seconds))
    client = subprocess.Popen([sys.executable, "-m", module, *target], stdout=subprocess.PIPE)
    assert client.stdout  # noqa: S101 - it is a pipe
    client.stdout.readline()
    return client


def _told(client: subprocess.Popen[bytes]) -> dict[str, Any]:
    told, _ = client.communicate()
    if client.returncode:
        raise subprocess.CalledProcessError(client.returncode, client.args)
    met: dict[str, Any] = json.loads(told)
    return met


async def _send_all(target: Target, to_be: list[Callable[[], Connection]]) -> None:
    loop = asyncio.get_running_loop()
    opened = [(await loop.create_connection(one, target.host, target.port))[1] for one in to_be]
    loop.add_signal_handler(signal.SIGTERM, _end_all, opened)
    print("sending", flush=True)
    started = time.perf_counter()
    for connection in opened:
        connection.begin(started)
    await asyncio.gather(*(connection.ended for connection in opened))
    took = time.perf_counter() - started
    milliseconds = [one for connection in opened for one in connection.milliseconds]
    print(json.dumps({"seconds": took, "milliseconds": milliseconds}))


def _end_all(connections: Sequence[Connection]) -> None:
    for connection in connections:
        connection.end()
