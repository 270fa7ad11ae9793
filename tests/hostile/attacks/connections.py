"""Attacks by connections that do nothing, or send the head of a request slowly. None of them has a token."""

import select
import socket
import time
from contextlib import suppress

from tests.support.hostile.attack import Attack
from tests.support.hostile.target import Target

OPEN_FILES = 1024
CONNECTIONS = 1050
PAUSE_SECONDS = 0.05
OPENED_AT_ONCE = 10
"""So many connections are opened in each round. More at once could close the others' connection between two requests."""
HEAD = b"GET /api/v1/offers HTTP/1.1\r\nHost: x\r\nA: "


def _hold(target: Target, seconds: float, start: bytes, again: bytes) -> int:
    """Opens all connections, and opens a closed one again. Sends `start` on each, then `again` in each round."""
    end, sent = time.monotonic() + seconds, 0
    number = int(CONNECTIONS * target.size)
    held: list[socket.socket] = []
    try:
        while time.monotonic() < end:
            held = [connection for connection in held if not _is_closed(connection)]
            for _ in range(min(number - len(held), OPENED_AT_ONCE)):
                with suppress(OSError):
                    held.append(socket.create_connection(("127.0.0.1", target.port), timeout=0.2))
                    sent += held[-1].send(start)
            for connection in held:
                with suppress(OSError):
                    sent += connection.send(again)
            time.sleep(PAUSE_SECONDS)
    finally:
        for connection in held:
            connection.close()
    return sent


def _is_closed(connection: socket.socket) -> bool:
    try:
        poll = select.poll()
        poll.register(connection, select.POLLIN)
        is_closed = bool(poll.poll(0)) and not connection.recv(65536)
    except OSError:
        is_closed = True
    if is_closed:
        connection.close()
    return is_closed


def hold_idle_connections(target: Target, seconds: float) -> int:
    return _hold(target, seconds, b"", b"")


def send_heads_slowly(target: Target, seconds: float) -> int:
    return _hold(target, seconds, HEAD, b"a")


ATTACKS = (
    Attack("idle connections", hold_idle_connections, open_files=OPEN_FILES),
    Attack("slow heads", send_heads_slowly, open_files=OPEN_FILES),
)
