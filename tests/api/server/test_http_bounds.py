"""Bounds of one connection: heads, trailers, chunk extensions, requests sent ahead, and bodies that nobody reads."""

import json
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import h11
import pytest

from api.http.paths import BATCH_PATH
from api.service import Service
from domain.values import Role
from tests.support.examples import PARTNER
from tests.support.harness import Caller, MakeToken, SendBytes
from tests.support.local_server import serving
from tests.support.waiting import PATIENCE_SECONDS, wait_until

HEAD = b"POST /nowhere HTTP/1.1\r\nHost: h\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
GET = b"GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n"
LAST_GET = b"GET /healthz HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"
MOST = 64 * 1024
UPLOAD = f"POST {BATCH_PATH} HTTP/1.1\r\nHost: h\r\n".encode()
"""Nobody reads the body of this request, because it has no token."""


@contextmanager
def connected(address: str) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", int(address.rpartition(":")[2])), PATIENCE_SECONDS) as connection:
        yield connection


def read_all(connection: socket.socket) -> bytes:
    return b"".join(iter(lambda: connection.recv(65536), b""))


def statuses(replies: bytes) -> list[int]:
    return [int(reply[:3]) for reply in replies.split(b"HTTP/1.1 ")[1:]]


# Heads, trailers and chunk extensions


def test_head_above_the_bound_is_refused(
    send_raw: SendBytes, logged: Callable[[str], str], subtests: pytest.Subtests
) -> None:
    cases = {
        "one header": HEAD + b"A: " + b"a" * MOST + b"\r\n\r\n",
        "many headers": HEAD + b"A: a\r\n" * (MOST // 6) + b"\r\n",
        "unfinished": HEAD + b"A: " + b"a" * MOST,
        "target": b"GET /" + b"a" * MOST + b" HTTP/1.1\r\nHost: h\r\n\r\n",
        "method": b"A" * MOST + b"A",
    }
    for name, sent in cases.items():
        with subtests.test(name):
            head, _, body = send_raw(sent).partition(b"\r\n\r\n")
            problem = json.loads(body)
            assert (statuses(head), problem["type"]) == ([431], "head-too-large")
            assert b"\r\nconnection: close" in head
            assert "OFFER_LEDGER_MAX_HEAD_BYTES" in problem["detail"]
            assert " status=431 ms=0.0 token=- problem=head-too-large " in logged(problem["traceId"])


def test_head_at_the_bound_is_answered(send_raw: SendBytes) -> None:
    start, end = LAST_GET[:-2] + b"A: ", b"\r\n\r\n"
    assert statuses(send_raw(start + b"a" * (MOST - len(start + end)) + end)) == [200]


def test_framing_above_the_bound_is_refused(address: str, partner: Caller, subtests: pytest.Subtests) -> None:
    cases = {
        "one extension": b"1;" + b"a" * MOST + b"\r\nx\r\n0\r\n\r\n",
        "many extensions": (b"1;" + b"a" * 1000 + b"\r\nx\r\n") * 100 + b"0\r\n\r\n",
        "trailers": b"1\r\nx\r\n0\r\n" + b"A: a\r\n" * (MOST // 6) + b"\r\n",
        "one trailer": b"1\r\nx\r\n0\r\nA: " + b"a" * MOST + b"\r\n\r\n",
        "size": b"0" * MOST,
    }
    # The application reads this body, so it has not answered before.
    secret = partner.http.headers["Authorization"].encode()
    line = UPLOAD + b"Authorization: " + secret + b"\r\nContent-Type: application/json\r\n"
    for name, sent in cases.items():
        with subtests.test(name), connected(address) as connection:
            connection.sendall(line + b"Transfer-Encoding: chunked\r\n\r\n" + sent)
            assert statuses(read_all(connection)) == [431]


def test_one_byte_chunks_of_any_number_are_a_body(partner: Caller) -> None:
    headers = {"Content-Type": "application/json"}
    reply = partner.http.post(BATCH_PATH, content=(b" " for _ in range(20_000)), headers=headers)
    assert reply.json()["type"] == "not-json"


def test_trailers_do_not_become_headers(send_raw: SendBytes, auditor: Caller) -> None:
    secret = auditor.http.headers["Authorization"].encode()
    sent = b"GET /api/v1/offers HTTP/1.1\r\nHost: h\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
    assert statuses(send_raw(sent + b"0\r\nAuthorization: " + secret + b"\r\n\r\n")) == [401]


HEADS = (
    b"\r\n" + GET,
    b" " + GET,
    b"G(T / HTTP/1.1\r\nHost: h\r\n\r\n",
    b"GET  / HTTP/1.1\r\nHost: h\r\n\r\n",
    b"GET / HTTP/1.1 \r\nHost: h\r\n\r\n",
    b"GET /\x7f HTTP/1.1\r\nHost: h\r\n\r\n",
    b"GET /\xc3\xa9 HTTP/1.1\r\nHost: h\r\n\r\n",
    b"GET /\r\n\r\n",
    b"GET / HTTP/11\r\nHost: h\r\n\r\n",
    b"GET / http/1.1\r\nHost: h\r\n\r\n",
    *(
        b"GET /healthz HTTP/1.1\r\nHost: h\r\n" + field + b"\r\n\r\n"
        for field in (
            b"A : b",
            b"A",
            b": b",
            b"A: b\x00c",
            b"A: b\x0bc",
            b"A: b\rc",
            b"Host: h",
            b"\x80: b",
            b"Upgrade",
            b"Upgrade: a\x00",
            b"Content-Length: +2",
            b"Content-Length:",
            b"Content-Length: 2 2",
            b"Content-Length: 2\r\nContent-Length: 3",
            b"Transfer-Encoding: gzip, chunked",
            b"Transfer-Encoding: xchunked",
            b"Transfer-Encoding: chunked, chunked",
            b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
            b"Transfer-Encoding:",
        )
    ),
)
BODIES = (
    b"0x2\r\n",
    b" 2\r\n{}",
    b"2\n{}\r\n0\r\n\r\n",
    b"2\r\n{}\n0",
    b"2\r\n{}0\r\n\r\n",
    b"-2\r\n{}",
    b"2;a\nb\r\n{}",
    b"0\r\nA : b\r\n\r\n",
)


def is_refused_by_h11(sent: bytes) -> bool:
    connection = h11.Connection(h11.SERVER)
    connection.receive_data(sent)
    try:
        while isinstance(connection.next_event(), h11.Request | h11.Data):
            pass
    except h11.RemoteProtocolError:
        return True
    return False


def test_whatever_h11_refuses_is_refused(send_raw: SendBytes, subtests: pytest.Subtests) -> None:
    for sent in (*HEADS, *(CHUNKED + body for body in BODIES)):
        with subtests.test(str(sent[-60:])):
            assert is_refused_by_h11(sent)
            # The application may have answered before the body was found to be broken.
            (status,) = statuses(send_raw(sent + GET))
            assert status in {400, 404}


def test_outdated_forms_are_refused(send_raw: SendBytes, subtests: pytest.Subtests) -> None:
    for field in (b"A: b\n", b"A: b\r\n c\r\n", b"A: b\x01\r\n", b"Content-Length: 2, 2\r\n"):
        with subtests.test(str(field)):
            assert statuses(send_raw(b"GET /healthz HTTP/1.1\r\nHost: h\r\n" + field + b"\r\n" + GET)) == [400]


# Requests sent ahead


def test_requests_sent_ahead_are_answered_in_order(send_raw: SendBytes) -> None:
    missing = b"GET /nowhere HTTP/1.1\r\nHost: h\r\n\r\n"
    post = CHUNKED.replace(b"/nowhere", b"/healthz") + b"1\r\nx\r\n0\r\n\r\n"
    assert statuses(send_raw((GET + missing) * 100 + post + LAST_GET)) == [200, 404] * 100 + [405, 200]


def test_request_in_pieces_of_any_size_is_the_same(address: str) -> None:
    post = CHUNKED.replace(b"/nowhere", b"/healthz") + b"4\r\n\r\n\r\n\r\n0\r\nA: b\r\n\r\n"
    sent = post + GET + HEAD + b"Content-Length: 4\r\n\r\n\r\n\r\n" + LAST_GET
    for size in (1, 2, 3, 5, 7):
        with connected(address) as connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for start in range(0, len(sent), size):
                connection.sendall(sent[start : start + size])
            assert statuses(read_all(connection)) == [405, 200, 404, 200]


# Bodies that nobody reads


def test_refusal_before_the_body_closes_the_connection(send_raw: SendBytes, subtests: pytest.Subtests) -> None:
    lines = {401: UPLOAD, 404: HEAD, 405: HEAD.replace(b"/nowhere", b"/healthz")}
    for status, line in lines.items():
        for framing in (b"Content-Length: 9\r\n\r\n{", b"Transfer-Encoding: chunked\r\n\r\n1\r\n{"):
            with subtests.test(f"{status} {framing!r}"):
                reply = send_raw(line + framing)
                assert statuses(reply) == [status]
                assert b"\r\nconnection: close\r\n" in reply


def test_refusal_after_the_body_keeps_the_connection(address: str) -> None:
    with connected(address) as connection:
        connection.sendall(UPLOAD + b"Content-Length: 2\r\n\r\n{}")
        assert b"connection: close" not in connection.recv(65536)
        connection.sendall(LAST_GET)
        assert statuses(read_all(connection)) == [200]


def test_client_reads_the_refusal_of_a_large_body(address: str) -> None:
    with connected(address) as connection:
        connection.sendall(UPLOAD + b"Content-Length: 4000000\r\n\r\n" + b"0" * 3_999_999)
        assert statuses(read_all(connection)) == [401]


# HTTP/1.0


def test_reply_of_http_1_0_has_no_chunks(send_raw: SendBytes, auditor: Caller) -> None:
    secret = auditor.http.headers["Authorization"]
    line = "GET /api/v1/audit/events HTTP/1.0\r\nAccept: text/csv\r\n"
    head, _, body = send_raw(f"{line}Authorization: {secret}\r\n\r\n".encode()).partition(b"\r\n\r\n")
    assert statuses(head) == [200]
    assert b"transfer-encoding" not in head
    assert body.startswith(b"position,")


# Time


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch, service: Service) -> Iterator[str]:
    monkeypatch.setenv("OFFER_LEDGER_MAX_HEAD_SECONDS", "0.2")
    with serving(service) as url:
        yield url


def test_connection_without_a_complete_head_is_closed(impatient: str, subtests: pytest.Subtests) -> None:
    for sent in (b"", LAST_GET[:-1], GET + LAST_GET[:-1]):
        with subtests.test(str(sent[-40:])), connected(impatient) as connection:
            connection.sendall(sent)
            assert statuses(read_all(connection)) == [200] * sent.count(GET)


def test_connection_that_sends_a_head_byte_by_byte_is_closed(impatient: str) -> None:
    with connected(impatient) as connection:
        connection.settimeout(0)
        connection.send(b"GET /")
        wait_until(lambda: is_closed_after(connection, b"a"))


def test_trailer_and_extension_that_grow_slowly_end_the_connection(
    impatient: str, token: MakeToken, subtests: pytest.Subtests
) -> None:
    secret = token(Role.PARTNER, PARTNER)
    for sent in (b"1;", b"1\r\nx\r\n0\r\nA: "):
        with subtests.test(str(sent)), connected(impatient) as connection:
            head = UPLOAD + f"Authorization: Bearer {secret}\r\nContent-Type: application/json\r\n".encode()
            connection.sendall(head + b"Transfer-Encoding: chunked\r\n\r\n")
            connection.settimeout(0)
            connection.send(sent)
            wait_until(lambda connection=connection: is_closed_after(connection, b"a"))  # type: ignore[misc]


def is_closed_after(connection: socket.socket, sent: bytes) -> bool:
    try:
        connection.send(sent)
        return connection.recv(65536) == b""
    except BlockingIOError:
        return False
    except OSError:
        return True
