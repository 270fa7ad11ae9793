"""Fixtures for requests as bytes, and for the log lines of requests."""

import logging
import socket
from collections.abc import Callable

import pytest

from api.server.request_log import REQUEST_LOGGER
from tests.support.harness import SendBytes
from tests.support.waiting import PATIENCE_SECONDS, wait_until


@pytest.fixture
def logged(caplog: pytest.LogCaptureFixture) -> Callable[[str], str]:
    """logged(trace_id) waits for the log line of a request, which is written after its reply."""
    caplog.set_level(logging.INFO, REQUEST_LOGGER)

    def lines(trace_id: str) -> list[str]:
        messages = [record.getMessage() for record in caplog.records if record.name == REQUEST_LOGGER]
        return [message for message in messages if trace_id in message]

    def find(trace_id: str) -> str:
        (line,) = wait_until(lambda: lines(trace_id))
        return line

    return find


@pytest.fixture
def send_raw(address: str) -> SendBytes:
    """send_raw(request) returns all bytes until the server closes the connection.

    send_raw(head, body) sends the body after the first bytes of the reply have arrived."""

    def send(request: bytes, body: bytes = b"") -> bytes:
        with socket.create_connection(("127.0.0.1", int(address.rpartition(":")[2])), PATIENCE_SECONDS) as connection:
            connection.sendall(request)
            start = connection.recv(65536) if body else b""
            connection.sendall(body)
            return start + b"".join(iter(lambda: connection.recv(65536), b""))

    return send
