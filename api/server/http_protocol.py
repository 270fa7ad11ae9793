"""The HTTP protocol of the server: it answers a request that is not valid HTTP with a problem document."""

from http import HTTPStatus
from typing import Any

import h11
from fastapi import Request
from uvicorn.protocols.http.h11_impl import H11Protocol

from api.http.problems import Problem, respond
from api.http.request_state import SCOPE_KEY
from api.server.entrance import new_request_state
from api.server.request_log import INVALID_HTTP, log_request

_PROBLEM = Problem(HTTPStatus.BAD_REQUEST, INVALID_HTTP, "The request is not valid HTTP.")


class TracedHttpProtocol(H11Protocol):
    """Gives the reply to invalid HTTP a trace id and a line in the log, as the entrance does for other replies.

    The application never sees such a request, or it sees a body that breaks off."""

    def send_400_response(self, _: str) -> None:
        if self.conn.our_state not in {h11.IDLE, h11.SEND_RESPONSE}:
            # A part of the reply has been sent already.
            self.transport.close()
            return
        if self.conn.our_state is h11.SEND_RESPONSE:
            # The application still answers the request whose body is broken. Its reply can't be sent any more.
            self.cycle.disconnected = True
            self._send(self.scope)
        else:
            scope: dict[str, Any] = {"type": "http", "method": "GET", "path": "", "raw_path": b"", "headers": []}
            self._send(scope)
            log_request("other", scope, scope[SCOPE_KEY], 0.0)

    def _unsupported_upgrade_warning(self) -> None:
        """Logs nothing: any client can ask for an upgrade, and the log has a line for its request."""

    def _send(self, scope: Any) -> None:
        """Sends the problem, and closes the connection: what follows can't be read as a request."""
        state = scope.setdefault(SCOPE_KEY, new_request_state())
        state.is_invalid_http = True
        reply = respond(Request(scope), _PROBLEM)
        headers = [(b"trace-id", state.trace_id.encode()), *reply.raw_headers, (b"connection", b"close")]
        body = b"" if scope["method"] == "HEAD" else bytes(reply.body)
        for event in (
            h11.Response(status_code=reply.status_code, headers=headers, reason=_PROBLEM.status.phrase.encode()),
            h11.Data(data=body),
            h11.EndOfMessage(),
        ):
            self.transport.write(self.conn.send(event) or b"")
        self.transport.close()
