"""Clients that send a request and then do not read the reply."""

import select
import socket
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager

from tests.support.hostile.target import Target
from tests.support.waiting import PATIENCE_SECONDS

SMALLEST_BUFFER = 2048
"""A small receive buffer: the operating system accepts little of a reply that the client does not read."""


class UnreadReply:
    """A request on its own connection."""

    def __init__(
        self, target: Target, secret: str, path: str, accept: str = "*/*", method: str = "GET", gzipped: bytes = b""
    ) -> None:
        self._socket = socket.socket()
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALLEST_BUFFER)
        self._socket.settimeout(PATIENCE_SECONDS)
        self._socket.connect(("127.0.0.1", target.port))
        head = f"{method} {path} HTTP/1.1\r\nHost: x\r\nAuthorization: ApiToken {secret}\r\nAccept: {accept}\r\n"
        if gzipped:
            head += f"Content-Type: application/json\r\nContent-Encoding: gzip\r\nContent-Length: {len(gzipped)}\r\n"
        self.request = f"{head}\r\n".encode() + gzipped
        self._start = b""

    def send(self) -> int:
        """Sends the request, and returns the number of bytes."""
        self._socket.sendall(self.request)
        return len(self.request)

    def status(self) -> int:
        """Waits for the status, and reads nothing after it."""
        while len(self._start) < len(b"HTTP/1.1 200"):
            piece = self._socket.recv(len(b"HTTP/1.1 200") - len(self._start))
            if not piece:
                return 0
            self._start += piece
        return int(self._start[-3:])

    def is_cut_off(self, seconds: float) -> bool:
        """Reads what has arrived, and returns True if the server then closes or resets the connection in time.

        Only for a reply of which more would follow."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            if not select.select([self._socket], [], [], left)[0]:
                return False
            try:
                if not self._socket.recv(65536):
                    return True
            except ConnectionError:
                return True
        return False

    def close(self) -> None:
        self._socket.close()


@contextmanager
def unread(replies: Iterable[UnreadReply]) -> Iterator[list[UnreadReply]]:
    """Sends all requests at the same moment, and closes the connections at the end of the block."""
    with ExitStack() as stack:
        opened = []
        for reply in replies:
            stack.callback(reply.close)
            opened.append(reply)
        for reply in opened:
            reply.send()
        yield opened


def statuses(replies: Iterable[UnreadReply]) -> Counter[int]:
    """Returns the number of replies with each status; 0 for a connection without a reply."""
    return Counter(reply.status() for reply in replies)
