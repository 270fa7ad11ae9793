"""Sends the reply for a finished run in pieces."""

from collections.abc import Iterator
from contextlib import ExitStack
from itertools import chain

from fastapi import Response

from api.server.streaming import StreamResponses

LARGE_REPLY_BYTES = 1024 * 1024


def send_pieces(
    streams: StreamResponses,
    pieces: Iterator[bytes],
    reply: Response,
    replaying: str | None,
) -> Response:
    """Returns a reply with these pieces as its body, and the status and headers of `reply`.

    A reply over LARGE_REPLY_BYTES is sent while it is read. `replaying`: the token that repeats a request; then such a
    reply takes a place for large replays. Raises Problem 503 if none is free."""
    start = bytearray()
    for piece in pieces:
        start += piece
        if len(start) > LARGE_REPLY_BYTES:
            break
    headers = {name: value for name, value in reply.headers.items() if name not in {"content-length", "content-type"}}
    media_type = reply.headers["content-type"]
    if len(start) <= LARGE_REPLY_BYTES:
        return Response(bytes(start), reply.status_code, headers, media_type)
    with ExitStack() as held:
        if replaying is not None:
            held.enter_context(streams.large_replays.hold(replaying))
        return streams.send(chain([bytes(start)], pieces), held.pop_all(), media_type, headers, reply.status_code)
