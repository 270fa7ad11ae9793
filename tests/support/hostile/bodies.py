"""Bodies that a client sends in pieces of its choice, on connections of its own."""

import random
import re
import socket
from contextlib import suppress

from tests.support.hostile.target import Target
from tests.support.waiting import PATIENCE_SECONDS

MIB = 1024 * 1024
JSON = "application/json"
BATCHES = "/api/v1/integrations/offer-providers/custom/offers"
FILES = "/api/v1/partner/offers-files?name=AttackerOffers20261122.json"
SIGN_IN = "/console/sign-in"
OFFER = "/api/v1/partner/merchants/shop/offers/{}"

NOISE = random.Random(7).randbytes(16 * MIB)


class OpenRequest:
    """A request whose body is sent piece by piece."""

    def __init__(
        self, target: Target, secret: str, call: str, content_type: str = JSON, *, length: int = 100_000
    ) -> None:
        """`call`: the method and the path. Sends the head."""
        self.sent_bytes = 0
        self._connection = socket.create_connection(("127.0.0.1", target.port), timeout=PATIENCE_SECONDS)
        head = f"{call} HTTP/1.1\r\nHost: x\r\nAuthorization: ApiToken {secret}\r\nContent-Type: {content_type}\r\n"
        self.send(f"{head}Content-Length: {length}\r\n\r\n".encode())

    def send(self, data: bytes) -> None:
        """Sends the data, unless the server has ended the connection."""
        with suppress(OSError):
            self._connection.sendall(data)
            self.sent_bytes += len(data)

    def reply(self) -> bytes:
        """Returns the bytes of the reply until the server closes the connection. Raises TimeoutError if it doesn't."""
        reply = b""
        with suppress(ConnectionError):
            while piece := self._connection.recv(MIB):
                reply += piece
        return reply

    def status(self) -> int:
        """Returns the status of the reply, and 0 without a reply."""
        found = re.match(rb"HTTP/1.1 (\d+)", self._connection.recv(MIB, socket.MSG_PEEK))
        return int(found[1]) if found else 0

    def is_answered(self) -> bool:
        """Returns True if the server has begun its reply, or has closed the connection."""
        self._connection.setblocking(False)  # noqa: FBT003 - the library's own parameter
        try:
            self._connection.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return False
        except ConnectionError:
            pass
        finally:
            self._connection.settimeout(PATIENCE_SECONDS)
        return True

    def close(self) -> None:
        self._connection.close()
