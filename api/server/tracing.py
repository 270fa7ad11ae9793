"""Gives every request its state, with a trace id (W3C Trace Context)."""

import re
from uuid import uuid4

from starlette.types import ASGIApp, Receive, Scope, Send

from api.http.request_state import SCOPE_KEY, RequestState

_TRACEPARENT = re.compile(rb"[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")


class Tracing:
    """Gives every request a trace id, for problem replies and the log: that of its `traceparent`, or a new one."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            parent = _TRACEPARENT.fullmatch(dict(scope["headers"]).get(b"traceparent", b""))
            scope[SCOPE_KEY] = (
                RequestState(parent[1].decode(), traceparent=parent[0].decode())
                if parent
                else RequestState(uuid4().hex)
            )
        await self.app(scope, receive, send)
