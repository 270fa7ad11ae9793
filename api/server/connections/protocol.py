"""The HTTP protocol of the server: uvicorn's protocol on httptools, with bounds on what one connection can use.

The parser never gets more than the message that is being answered. What follows waits as bytes.
"""

import asyncio
from enum import Enum, auto
from typing import Any

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from api.http.problems import Problem
from api.http.request_state import SCOPE_KEY, RequestState
from api.server.connections.chunks import ChunkFraming
from api.server.connections.event_loop import loop_of_server
from api.server.connections.flow import ReadFlow
from api.server.connections.heads import (
    END_OF_HEAD,
    FIRST_BYTES,
    InvalidHttp,
    RequestHead,
    body_length,
    read_head,
)
from api.server.connections.http_1_0 import ReplyWithoutChunks
from api.server.connections.refusals import head_too_large, invalid_http, refuse_body, refuse_head
from api.server.connections.reply_progress import WatchedTransport
from api.server.connections.reply_transport import ReplyTransport

LINGER_SECONDS = 2.0
LINGER_BYTES = 16 * 1024 * 1024
"""After a reply that ends the connection, the server still reads this much and forgets it.

If it closed at once, the client's system would drop a reply that the client has not read yet."""


class Phase(Enum):
    HEAD = auto()
    BODY = auto()
    LINGERING = auto()


class BoundedHttpProtocol(HttpToolsProtocol, asyncio.BufferedProtocol):
    """Reads a whole head before the parser gets it, then the body piece by piece, up to the end of the message.

    The next request of the connection is parsed after the reply. Until then, at most `max_bytes_ahead` bytes wait."""

    flow: ReadFlow

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._server_loop = loop_of_server(self.loop)
        self._bounds = self._server_loop.bounds
        self._phase = Phase.HEAD
        self._unread = self._piece = b""
        self._head: RequestHead | None = None
        self._head_bytes = self._body_left = self._lingered = 0
        self._chunks: ChunkFraming | None = None
        self._keep_alive = self._is_parsing_head = False
        self._timer: asyncio.TimerHandle | None = None

    # The connection

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        transport = WatchedTransport(transport, self.loop, self._bounds)
        super().connection_made(transport)
        self.flow = ReadFlow(transport)
        self._reply_transport: Any = ReplyTransport(transport, self._close_after_reply)
        self._server_loop.connections.add(self)
        self._limit_time()

    def connection_lost(self, exc: Exception | None) -> None:
        self._server_loop.connections.remove(self)
        self._unset_keepalive_if_required()
        self._unset_timer()
        self._unread = b""
        super().connection_lost(exc)

    @property
    def holder(self) -> str | None:
        """The name of the token whose request is in progress."""
        return self._caller if self._is_answering else None

    @property
    def is_served(self) -> bool:
        """The request is complete, and the server works on its reply."""
        return self._is_answering and self._phase is Phase.HEAD and not self.flow.write_paused

    def leave(self) -> None:
        """Ends the connection after the present reply."""
        self._keep_alive = self.cycle.keep_alive = False

    def abort(self) -> None:
        self.transport.abort()

    def shutdown(self) -> None:
        self._keep_alive = False
        super().shutdown()

    @property
    def _is_answering(self) -> bool:
        cycle: RequestResponseCycle | None = self.cycle
        return cycle is not None and not cycle.response_complete

    @property
    def _caller(self) -> str | None:
        scope: Any = self.cycle.scope
        state: RequestState | None = scope.get(SCOPE_KEY)
        return state.token_name if state else None

    # Time

    def _limit_time(self) -> None:
        """From now on, the head, the trailers or the chunk's size must be complete within `max_head_seconds`."""
        if self._timer is None:
            self._timer = self.loop.call_later(self._bounds.max_head_seconds, self.transport.close)

    def _unset_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    # Reading

    def get_buffer(self, _: int) -> memoryview:
        buffer = self._server_loop.buffer
        if not self._unread or not self._is_answering:
            return buffer
        return buffer[: max(1, self._bounds.max_bytes_ahead - len(self._unread))]

    def buffer_updated(self, nbytes: int) -> None:
        self.data_received(bytes(self._server_loop.buffer[:nbytes]))

    def data_received(self, data: bytes) -> None:
        if self._phase is Phase.LINGERING:
            self._lingered += len(data)
            if self._lingered > LINGER_BYTES:
                self.transport.close()
            return
        self._unset_keepalive_if_required()
        searched = max(0, len(self._unread) - 2)
        self._read(self._unread + data, searched)

    def _read(self, data: bytes, searched: int = 0) -> None:
        """Reads as far as it may. `searched`: before this place, no head ends."""
        start, self._unread = 0, b""
        try:
            while start < len(data) and self._phase is not Phase.LINGERING:
                if self._phase is Phase.BODY:
                    start = self._read_piece(data, start)
                elif self._is_answering or not (end := self._end_of_head(data, start, searched)):
                    break
                else:
                    self._read_head(data[start:end])
                    start = end
        except (InvalidHttp, httptools.HttpParserError):
            self._refuse(invalid_http())
        if self._phase is not Phase.LINGERING:
            self._wait_with(data[start:])

    def _wait_with(self, unread: bytes) -> None:
        self._unread = unread
        if self._phase is Phase.HEAD and self._is_answering:
            if len(unread) >= self._bounds.max_bytes_ahead:
                self.flow.hold()
        elif unread or (self._chunks and not self._chunks.has_moved()):
            self._limit_time()
        elif self._chunks:
            self._unset_timer()

    def _end_of_head(self, data: bytes, start: int, searched: int) -> int:
        """Returns where the head ends, or 0 if it is not complete yet. Refuses a head that is too long."""
        if data[start] not in FIRST_BYTES:
            raise InvalidHttp
        found = END_OF_HEAD.search(data, max(start, searched))
        length = (found.end() if found else len(data)) - start
        if length > self._bounds.max_head_bytes:
            self._refuse(head_too_large(self._bounds.max_head_bytes))
            return 0
        return found.end() if found else 0

    def _read_head(self, head: bytes) -> None:
        self._unset_timer()
        self._head, self._head_bytes, self._chunks = read_head(head), len(head), None
        self._phase, self._is_parsing_head = Phase.BODY, True
        self.parser.feed_data(self._head.parsed)

    def _read_piece(self, data: bytes, start: int) -> int:
        """Feeds the parser up to the next place where the message may end. Returns that place."""
        chunks = self._chunks
        end = chunks.end_of_piece(data, start) if chunks else min(len(data), start + self._body_left)
        self._piece = piece = data[start:end]
        self.parser.feed_data(piece)
        if chunks:
            if self._is_framing_too_large(chunks):
                self._refuse(head_too_large(self._bounds.max_head_bytes))
            chunks.count(piece)
            self._pass_on(chunks.take_body())
        else:
            self._body_left -= len(piece)
        return end

    def _is_framing_too_large(self, chunks: ChunkFraming) -> bool:
        return self._head_bytes + chunks.extra_after(self._piece) > self._bounds.max_head_bytes

    # What the parser reports

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._is_parsing_head:  # the fields of a trailer are no headers
            super().on_header(name, value.rstrip(b" \t"))

    def on_headers_complete(self) -> None:
        head = self._head
        assert head is not None
        self.headers += head.left_out
        length = body_length(self.headers, head.version)
        self._is_parsing_head = False
        self._body_left, self._chunks = length or 0, ChunkFraming() if length is None else None
        self.expect_100_continue &= head.version == "1.1"
        super().on_headers_complete()
        head.describe(self.scope, self.root_path)
        self.cycle.transport = self._reply_transport
        if head.version == "1.0":
            self.cycle.send = ReplyWithoutChunks(self.cycle)  # type: ignore[method-assign]
        # A reply that begins before the whole body has arrived ends the connection: the rest of the body is not read.
        self._keep_alive = self.cycle.keep_alive and head.version == "1.1"
        self.cycle.keep_alive = False

    def on_chunk_header(self) -> None:
        if self._chunks:
            self._chunks.add_chunk()

    def on_body(self, body: bytes) -> None:
        if self._chunks:
            self._chunks.add_body(body)
        else:
            self._pass_on(body)

    def _pass_on(self, body: bytes) -> None:
        """An empty piece would count as one that arrived in time."""
        if body:
            super().on_body(body)

    def on_message_complete(self) -> None:
        if self._chunks and self._is_framing_too_large(self._chunks):
            # The request is refused next. The application must not take its body as complete.
            return
        if self._chunks:
            self._pass_on(self._chunks.take_body())
        self._phase, self._chunks = Phase.HEAD, None
        self._unset_timer()
        super().on_message_complete()
        if not self.cycle.response_started:
            self.cycle.keep_alive = self._keep_alive

    # Replies

    def on_response_complete(self) -> None:
        if self._caller is not None:
            self._server_loop.connections.end_request(self)
        self.flow.is_held = False
        super().on_response_complete()
        if self._phase is Phase.LINGERING:
            self._unset_keepalive_if_required()
        elif self._unread and not self.transport.is_closing():
            self._unset_keepalive_if_required()
            self._read(self._unread)

    def _refuse(self, problem: Problem) -> None:
        """Sends the problem if no part of a reply has been sent yet, and ends the connection."""
        if not self._is_answering:
            self.transport.write(refuse_head(problem))
        elif not self.cycle.response_started:
            # The application still answers the request whose body is broken. Its reply can't be sent any more.
            self.cycle.disconnected = True
            self.cycle.message_event.set()
            self.transport.write(refuse_body(problem, self.scope))
        else:
            self.transport.close()
        self._linger()

    def _close_after_reply(self) -> None:
        if self._phase is Phase.HEAD and not self._unread and not self.flow.read_paused:
            self.transport.close()
        else:
            self._linger()

    def _linger(self) -> None:
        self._phase, self._unread = Phase.LINGERING, b""
        self._unset_timer()
        if self.transport.is_closing():
            return
        self.flow.release()
        self.transport.write_eof()
        self._timer = self.loop.call_later(LINGER_SECONDS, self.transport.close)
