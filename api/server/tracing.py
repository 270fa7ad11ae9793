"""Gives every request its state, with a trace id (W3C Trace Context)."""

import re
from uuid import uuid4

from starlette.types import ASGIApp, Receive, Scope, Send

from api.http.request_state import SCOPE_KEY, RequestState

_TRACEPARENT = re.compile(rb"[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")


class Tracing:
    """Gives every request the id by which its refusal is found, in the log too: its W3C trace id, or a new one."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            sent = _TRACEPARENT.fullmatch(dict(scope["headers"]).get(b"traceparent", b""))
            scope[SCOPE_KEY] = (
                RequestState(sent[1].decode(), traceparent=sent[0].decode()) if sent else RequestState(uuid4().hex)
            )
        await self.app(scope, receive, send)
