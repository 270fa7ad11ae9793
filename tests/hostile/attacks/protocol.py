"""Attacks by one connection: small chunks, requests sent ahead, and heads, trailers and chunk extensions without end."""

import socket
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial

from tests.support.hostile.attack import Attack
from tests.support.hostile.bodies import BATCHES
from tests.support.hostile.target import Target

BLOCK = 64 * 1024
LINE = b"POST /nowhere HTTP/1.1\r\nHost: x\r\n"
CHUNKED = LINE + b"Transfer-Encoding: chunked\r\n\r\n"
ONE_BYTE_CHUNKS = b"1\r\n \r\n" * (BLOCK // 6)
CHUNK_OF_EMPTY_LINES = b"%x\r\n" % BLOCK + b"\r\n" * (BLOCK // 2) + b"\r\n"
AHEAD = b"GET /x HTTP/1.1\r\nHost: x\r\n\r\n"
AHEAD_CONNECTIONS = 200
MIB = 1024 * 1024


def send_endlessly(target: Target, seconds: float, start: bytes, block: bytes, most_bytes: float) -> int:
    """Sends the start, then the block again and again, and reads nothing. It connects again whenever it is cut off."""
    end, sent = time.monotonic() + seconds, 0
    while time.monotonic() < end:
        with suppress(OSError), socket.create_connection(("127.0.0.1", target.port), timeout=1) as connection:
            sent += _send_until(connection, end, start, block, most_bytes * target.size)
    return sent


def _send_until(connection: socket.socket, end: float, start: bytes, block: bytes, most_bytes: float) -> int:
    sent = connection.send(start)
    try:
        while time.monotonic() < end and sent < most_bytes:
            sent += connection.send(block)
        # The client waits for its replies, so that the server works on all that was sent.
        connection.settimeout(max(0.1, end - time.monotonic()))
        while time.monotonic() < end and connection.recv(BLOCK):
            pass
    except OSError:
        pass
    return sent


def send_chunks_with_token(target: Target, seconds: float) -> int:
    start = (
        f"POST {BATCHES} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {target.attacker}\r\n"
        "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
    return send_endlessly(target, seconds, start.encode(), ONE_BYTE_CHUNKS, 6 * MIB)


def send_requests_ahead(target: Target, seconds: float) -> int:
    """Sends requests on many connections, without reading the replies."""
    block = AHEAD * (BLOCK // len(AHEAD))
    with ThreadPoolExecutor(AHEAD_CONNECTIONS) as threads:
        sent = [
            threads.submit(send_endlessly, target, seconds, AHEAD, block, 20 * MIB)
            for _ in range(int(AHEAD_CONNECTIONS * target.size))
        ]
        return sum(each.result() for each in sent)


def endless(start: bytes, block: bytes, most_bytes: int = 60 * MIB) -> Callable[[Target, float], int]:
    return partial(send_endlessly, start=start, block=block, most_bytes=most_bytes)


ATTACKS = (
    Attack("one-byte chunks without a token", endless(CHUNKED, ONE_BYTE_CHUNKS, 6 * MIB)),
    Attack("one-byte chunks with a token", send_chunks_with_token),
    Attack("chunks of empty lines without a token", endless(CHUNKED, CHUNK_OF_EMPTY_LINES)),
    Attack("requests sent ahead", send_requests_ahead),
    Attack("headers without end", endless(LINE, b"A: a\r\n" * (BLOCK // 6))),
    Attack("a header without end", endless(LINE + b"A: ", b"a" * BLOCK)),
    Attack("trailers without end", endless(CHUNKED + b"1\r\nx\r\n0\r\n", b"A: a\r\n" * (BLOCK // 6))),
    Attack("a chunk extension without end", endless(CHUNKED + b"1;", b"a" * BLOCK)),
)
