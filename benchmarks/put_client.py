"""What do PUTs of single offers cost their senders?

python -m benchmarks.put_client HOST PORT SECRET MARK CONNECTIONS SECONDS: in a process of its own that does little beside
sending, so that the server has the machine. Every connection sends one PUT after the other until the time is over: a new
offer, and then a change to it. Tells what it met as JSON; ends with an error at anything but a 202.
"""

import asyncio
import gc
import json
import sys
import time
from collections.abc import Iterator
from functools import partial
from typing import NamedTuple

PATH = "/api/v1/partner/merchants/{merchant}/offers/{offer}"
REQUEST = (
    "PUT {path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: ApiToken {secret}\r\nContent-Type: application/json\r\n"
)
BODY = (
    '{{"offerId":"{offer}","merchantId":"{merchant}","offerName":"{name}",'
    '"description":"Earn cashback on every jar of pasta sauce, in store and online, until the end of the season.",'
    '"terms":"One redemption per customer and week. Not together with vouchers. Refunds take the cashback back.",'
    '"assets":{{"logo":{{"type":"IMAGE","value":{{"large":{{"url":"https://cdn.example/{merchant}/logo.png"}}}}}},'
    '"largeRectangle":{{"type":"IMAGE","value":{{"large":{{"url":"https://cdn.example/{merchant}/{offer}.png"}}}}}}}},'
    '"categories":["groceries","weekend"],"cashbackPercent":{percent}}}'
)
ACCEPTED = b"HTTP/1.1 202 "
LENGTH = b"\r\ncontent-length: "


class Target(NamedTuple):
    """Who is sent to, and as whom."""

    host: str
    port: int
    secret: str


class Connection(asyncio.Protocol):
    """Sends the next request when the answer to the one before is complete."""

    def __init__(self, requests: Iterator[bytes], seconds: float) -> None:
        self._requests = requests
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

    def data_received(self, data: bytes) -> None:
        self._received += data
        if not self._is_complete():
            return
        now = time.perf_counter()
        if not self._received.startswith(ACCEPTED):
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


def requests(target: Target, mark: str) -> Iterator[bytes]:
    merchant, number = f"M-{mark}", 0
    while True:
        offer = f"MO-{mark}-{number // 2}"
        request = REQUEST.format(
            path=PATH.format(merchant=merchant, offer=offer), host=target.host, secret=target.secret
        )
        name = f"{number % 40 + 1} percent on jars of {number}"
        body = BODY.format(offer=offer, merchant=merchant, name=name, percent=number % 40 + 1)
        yield f"{request}Content-Length: {len(body)}\r\n\r\n{body}".encode()
        number += 1


async def _send_all(target: Target, mark: str, connections: int, seconds: float) -> None:
    loop = asyncio.get_running_loop()
    opened = []
    for n in range(connections):
        to_be = partial(Connection, requests(target, f"{mark}-{n}"), seconds)
        opened.append((await loop.create_connection(to_be, target.host, target.port))[1])
    started = time.perf_counter()
    for connection in opened:
        connection.begin(started)
    await asyncio.gather(*(connection.ended for connection in opened))
    took = time.perf_counter() - started
    milliseconds = [one for connection in opened for one in connection.milliseconds]
    print(json.dumps({"seconds": took, "milliseconds": milliseconds}))


def main() -> None:
    host, port, secret, mark, connections, seconds = sys.argv[1:]
    gc.disable()
    asyncio.run(_send_all(Target(host, int(port), secret), mark, int(connections), float(seconds)))


if __name__ == "__main__":
    main()
