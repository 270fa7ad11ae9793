"""Requests that are not valid HTTP: each gets a problem with a trace id that the log has."""

import json
import re
from collections.abc import Callable

import pytest

from api.audit.stream_routes import SERVER_SENT_EVENTS
from api.http.paths import BATCH_PATH
from api.http.problems import MEDIA_TYPE
from tests.support.harness import Caller, SendBytes

SECRET = "secret of auditor-None"
CHUNKED = "Host: h\r\nTransfer-Encoding: chunked\r\n"
BROKEN_CHUNK = "zz\r\n{}\r\n0\r\n\r\n"
INVALID = (
    "GET /healthz HTTP/1.1\r\n\r\n",
    "GET /healthz HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
    "hello\r\n\r\n",
    "POST /x HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip\r\n\r\n",
    "POST /x HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
    f"POST /nowhere HTTP/1.1\r\n{CHUNKED}\r\n{BROKEN_CHUNK}",
    f"POST http://h/api/v1/activations HTTP/1.1\r\n{CHUNKED}\r\n{BROKEN_CHUNK}",
)


def test_invalid_http_gets_a_problem_that_the_log_has(
    send_raw: SendBytes, logged: Callable[[str], str], subtests: pytest.Subtests
) -> None:
    for sent in INVALID:
        with subtests.test(sent[:60]):
            head, _, body = send_raw(sent.encode()).decode().partition("\r\n\r\n")
            assert head.startswith("HTTP/1.1 400 ")
            assert f"\r\ncontent-type: {MEDIA_TYPE}\r\n" in head
            assert "\r\nconnection: close" in head.lower()
            problem = json.loads(body)
            assert (problem["type"], problem["status"]) == ("invalid-http", 400)
            assert f"\r\ntrace-id: {problem['traceId']}\r\n" in head
            assert " status=400 " in logged(problem["traceId"])
            assert " problem=invalid-http " in logged(problem["traceId"])


def test_broken_body_of_a_batch_gets_the_vendors_members(send_raw: SendBytes, logged: Callable[[str], str]) -> None:
    reply = send_raw(f"POST {BATCH_PATH} HTTP/1.1\r\n{CHUNKED}\r\n{BROKEN_CHUNK}".encode())
    problem = json.loads(reply.partition(b"\r\n\r\n")[2])
    assert (problem["instance"], problem["isSuccessful"]) == (BATCH_PATH, False)
    assert f" route={BATCH_PATH} status=400 " in logged(problem["traceId"])


def test_broken_body_of_head_gets_no_body(send_raw: SendBytes) -> None:
    head, _, body = send_raw(f"HEAD /healthz HTTP/1.1\r\n{CHUNKED}\r\n{BROKEN_CHUNK}".encode()).partition(b"\r\n\r\n")
    assert (head[9:12], body) == (b"400", b"")
    assert re.search(rb"\r\ntrace-id: [0-9a-f]{32}\r\n", head)


def test_broken_body_ends_a_reply_in_progress(send_raw: SendBytes, auditor: Caller) -> None:
    secret = f"Authorization: Bearer {SECRET}\r\nAccept: {SERVER_SENT_EVENTS}\r\n"
    parts = [f"GET /api/v1/audit/stream HTTP/1.1\r\n{secret}{CHUNKED}\r\n", BROKEN_CHUNK]
    reply = send_raw(*(part.encode() for part in parts))
    assert reply.startswith(b"HTTP/1.1 200 ")
    assert reply.count(b"HTTP/1.1") == 1
    assert auditor.get("/healthz").status_code == 200
