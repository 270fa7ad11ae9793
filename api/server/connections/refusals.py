"""The refusals of the HTTP protocol itself. Each has a trace id and a line in the log, as other replies have."""

from http import HTTPStatus
from typing import Any

from fastapi import Request

from api.bounds.settings import setting_variable
from api.http.problems import Problem, respond
from api.http.request_state import SCOPE_KEY
from api.server.entrance import new_request_state
from api.server.request_log import log_request

_INVALID_HTTP = Problem(HTTPStatus.BAD_REQUEST, "invalid-http", "The request is not valid HTTP.")


def invalid_http() -> Problem:
    return _INVALID_HTTP


def head_too_large(max_bytes: int) -> Problem:
    detail = (
        f"The request line, the headers, the trailers and the chunk extensions have at most {max_bytes} bytes"
        f" together ({setting_variable('max_head_bytes')})."
    )
    return Problem(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "head-too-large", detail)


def refuse_head(problem: Problem) -> bytes:
    """Returns the reply to a request whose head is refused, and logs it. The application never sees the request."""
    scope: dict[str, Any] = {"type": "http", "method": "GET", "path": "", "raw_path": b"", "headers": []}
    reply = refuse_body(problem, scope)
    log_request("other", scope, scope[SCOPE_KEY], 0.0)
    return reply


def refuse_body(problem: Problem, scope: Any) -> bytes:
    """Returns the reply to a request whose head the application has. The application logs the request."""
    state = scope.setdefault(SCOPE_KEY, new_request_state())
    state.refused_as = (problem.status, problem.kind)
    reply = respond(Request(scope), problem)
    status_line = f"HTTP/1.1 {problem.status.value} {problem.status.phrase}".encode()
    headers = [(b"trace-id", state.trace_id.encode()), *reply.raw_headers, (b"connection", b"close")]
    lines = [status_line, *(b": ".join(header) for header in headers), b"", b""]
    return b"\r\n".join(lines) + (b"" if scope["method"] == "HEAD" else bytes(reply.body))
