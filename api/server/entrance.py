"""The entrance of the application: what holds for every request before it is routed, and for every reply."""

import asyncio
import re
from http import HTTPStatus
from time import perf_counter
from urllib.parse import unquote
from uuid import uuid4

from fastapi import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.http.problems import Problem, respond
from api.http.request_state import SCOPE_KEY, RequestState
from api.server.request_log import log_request

_TRACEPARENT = re.compile(rb"[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")
_ABSOLUTE_FORM = re.compile(rb"(https?)://(?:[^/@]*@)?([^/@]+)(/.*)?", re.IGNORECASE | re.DOTALL)
_WITHOUT_BODY = {HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED}
MAX_PARAMETERS = 100
"""More parameters are not read. No call has so many: a call that refuses unknown or repeated ones refuses the first 101."""
_TRANSFER_ENCODING, _CONTENT_LENGTH, _HOST = b"transfer-encoding", b"content-length", b"host"


class Entrance:
    """Gives every request its state, and every reply the header `Trace-Id` and a line in the log.

    It answers HEAD like GET without the body, and accepts an absolute-form target (RFC 9112, 3.2.2). It encloses the whole
    application, so that replies to failures pass it too."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started = perf_counter()
        method, headers = scope["method"], dict(scope["headers"])
        # The server has set the state before if the body that follows is not valid HTTP.
        state = scope.get(SCOPE_KEY) or new_request_state(headers.get(b"traceparent", b""))
        scope[SCOPE_KEY] = state
        is_head = state.is_head = method == "HEAD"
        trace_header = (b"trace-id", state.trace_id.encode())
        if is_head:
            # A copy, because the server needs the real method to frame the reply.
            scope = {**scope, "method": "GET"}
        if not scope["raw_path"].startswith(b"/"):
            scope = _with_origin_form(scope)
        if scope.get("query_string", b"").count(b"&") >= MAX_PARAMETERS:
            scope = {**scope, "query_string": _first_parameters(scope["query_string"])}

        async def send_traced(message: Message) -> None:
            if message["type"] == "http.response.start":
                state.status = message["status"]
                message["headers"] = [trace_header, *message.get("headers", ())]
                if is_head and scope["http_version"] != "1.0":
                    _complete_framing(message)
            elif is_head:
                message["body"] = b""
            await send(message)

        try:
            await self._answer(scope, headers, receive, send_traced)
        finally:
            log_request(method, scope, state, perf_counter() - started)

    async def _answer(self, scope: Scope, headers: dict[bytes, bytes], receive: Receive, send: Send) -> None:
        state = scope[SCOPE_KEY]
        try:
            problem = _framing_problem(scope, headers) if _TRANSFER_ENCODING in headers else None
            if problem is None:
                await self.app(scope, receive, send)
                return
        except asyncio.CancelledError:
            # The server cancels the requests that are unfinished at the end of its grace period.
            if state.status is not None:
                raise
            problem = interruption_of(scope["method"])
        state.problem = problem.kind
        await respond(Request(scope), problem)(scope, receive, send)


def _complete_framing(message: Message) -> None:
    """Adds `Transfer-Encoding` where the reply to GET has it. The server adds it to replies with a body only."""
    names = {name.lower() for name, _ in message["headers"]}
    if _CONTENT_LENGTH not in names and message["status"] not in _WITHOUT_BODY:
        message["headers"].append((_TRANSFER_ENCODING, b"chunked"))


def new_request_state(traceparent: bytes = b"") -> RequestState:
    """Takes the trace id of a valid `traceparent` (W3C Trace Context), or makes a new one.

    The state's `traceparent` has the version 00, the only one that this program knows."""
    parent = _TRACEPARENT.fullmatch(traceparent)
    if parent:
        return RequestState(parent[1].decode(), f"00{parent[0].decode()[2:]}")
    trace_id = uuid4().hex
    return RequestState(trace_id, f"00-{trace_id}-{trace_id[:16]}-00")


def _with_origin_form(scope: Scope) -> Scope:
    """Returns the scope of a request in absolute form as if the client had sent the origin form.

    The target's authority replaces `Host`. Any authority is accepted, as any `Host` is. A target in another form stays as it
    is, and no route matches it."""
    target = _ABSOLUTE_FORM.fullmatch(scope["raw_path"])
    if target is None:
        return scope
    scheme, authority, path = target[1].decode().lower(), target[2], target[3] or b"/"
    return {
        **scope,
        # A proxy that ends TLS may forward the request with the scheme http.
        "scheme": "https" if "https" in {scheme, scope["scheme"]} else scheme,
        "raw_path": path,
        "path": unquote(path.decode("ascii")),
        "headers": [(_HOST, authority), *((name, value) for name, value in scope["headers"] if name != _HOST)],
    }


def _first_parameters(query: bytes) -> bytes:
    """Returns one parameter more than MAX_PARAMETERS. Decoding thousands of them would keep the event loop busy."""
    parameters = [parameter for parameter in query.split(b"&") if parameter]
    return b"&".join(parameters[: MAX_PARAMETERS + 1])


def interruption_of(method: str) -> Problem:
    """Returns the problem of a request that is unfinished when the server stops. A thread may still store its change."""
    headers = {"Retry-After": "5", "Connection": "close"}
    if method == "GET":
        detail = "The server stops, and the request is not finished. Send it again."
        return Problem(HTTPStatus.SERVICE_UNAVAILABLE, "server-stopping", detail, headers=headers)
    detail = "The server stops, and the request is not finished. Its change may be stored or not. Send it again."
    return Problem(HTTPStatus.SERVICE_UNAVAILABLE, "outcome-unknown", detail, headers=headers)


def _framing_problem(scope: Scope, headers: dict[bytes, bytes]) -> Problem | None:
    """Returns the problem of a request whose length is ambiguous (RFC 9112, 6.1 and 6.3).

    Two servers may read it as different requests. So the connection is closed, and what follows is not read as a request."""
    if _CONTENT_LENGTH in headers:
        detail = "Send either Transfer-Encoding or Content-Length, not both."
    elif scope["http_version"] == "1.0":
        detail = "Transfer-Encoding needs HTTP/1.1."
    else:
        return None
    return Problem(HTTPStatus.BAD_REQUEST, "ambiguous-length", detail, headers={"Connection": "close"})
