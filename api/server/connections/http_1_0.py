"""Replies to clients of HTTP/1.0: they know no chunks, so the end of the connection ends a reply without a length."""

from typing import Any

from uvicorn.protocols.http.httptools_impl import RequestResponseCycle


class ReplyWithoutChunks:
    """Replaces the `send` of a request's cycle."""

    def __init__(self, cycle: RequestResponseCycle) -> None:
        self._cycle, self._send = cycle, cycle.send
        self._has_length = True

    async def __call__(self, message: Any) -> None:
        if message["type"] == "http.response.start":
            self._has_length = any(name.lower() == b"content-length" for name, _ in message.get("headers", ()))
            if not self._has_length:
                self._cycle.chunked_encoding = False
        elif not self._has_length:
            # uvicorn checks each piece against the length that is left.
            self._cycle.expected_content_length = len(message.get("body", b""))
        await self._send(message)
