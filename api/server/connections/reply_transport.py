"""The transport that a reply is sent with: closing it lets the client read the reply first."""

import asyncio
from collections.abc import Callable


class ReplyTransport:
    """A transport for replies. Closing it closes the connection only when the client can have read the reply."""

    __slots__ = ("close", "is_closing", "write")

    def __init__(self, transport: asyncio.Transport, close: Callable[[], None]) -> None:
        self.write, self.is_closing, self.close = transport.write, transport.is_closing, close
