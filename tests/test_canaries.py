"""Canaries: they fail when a library changes an internal that this project depends on.

A failure means: read the library's new code, adapt the named module, then update the canary and the upper bound in
pyproject.toml.
"""

import inspect
import signal
import textwrap
from typing import Any

import psycopg.generators
import pytest
import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from api.cli.actions import serve

EXIT_OF_A_PIPELINE = '''
def _exit_gen(self) -> PQGen[None]:
    """
    Exit current pipeline by sending a Sync and fetch back all remaining results.
    """
    try:
        self._enqueue_sync()
        yield from self._communicate_gen()
    finally:
        yield from self._fetch_gen(flush=True)
'''
SIGNALS_OF_A_SERVER = """
def handle_exit(self, sig: int, frame: FrameType | None) -> None:
    self._captured_signals.append(sig)
    if self.should_exit and sig == signal.SIGINT:
        self.force_exit = True  # pragma: full coverage
    else:
        self.should_exit = True
"""

END_OF_A_REPLY = """
def on_response_complete(self) -> None:
    # Callback for pipelined HTTP requests to be started.
    self.server_state.total_requests += 1

    if self.transport.is_closing():
        return

    self._unset_keepalive_if_required()

    # Unpause data reads if needed.
    self.flow.resume_reading()

    # Unblock any pipelined events. If there are none, arm the
    # Keep-Alive timeout instead.
    if self.pipeline:
        cycle, app = self.pipeline.pop()
        self._start_asgi_task(cycle, app)
    else:
        self.timeout_keep_alive_task = self.loop.call_later(
            self.timeout_keep_alive, self.timeout_keep_alive_handler
        )
"""


def source(function: Any) -> str:
    return textwrap.dedent(inspect.getsource(function)).strip()


def test_psycopg_ends_a_pipeline_as_expected() -> None:

    assert source(psycopg.Pipeline._exit_gen) == EXIT_OF_A_PIPELINE.strip(), (
        "psycopg ends a pipeline in another way. Adapt pipeline_round_trip() in domain/store/postgres/cursor.py, which"
        " replaces this method to leave out the Flush."
    )


def test_psycopg_has_the_private_parts_of_a_pipeline() -> None:

    parameters = {
        "_enqueue_sync": ["self"],
        "_communicate_gen": ["self"],
        "_fetch_gen": ["self", "flush"],
    }
    found = {name: list(inspect.signature(getattr(psycopg.Pipeline, name)).parameters) for name in parameters}
    found["send"] = list(inspect.signature(psycopg.generators.send).parameters)
    assert found == parameters | {"send": ["pgconn"]}, (
        "psycopg has changed the parts that pipeline_round_trip() in domain/store/postgres/cursor.py calls."
    )


def test_uvicorn_handles_a_signal_as_expected() -> None:
    assert source(uvicorn.Server.handle_exit) == SIGNALS_OF_A_SERVER.strip(), (
        "uvicorn handles SIGINT and SIGTERM in another way. Adapt handle_exit() in api/cli/actions/serve.py, which"
        " replaces this method to exit with 0."
    )


def test_uvicorn_installs_the_signal_handler_of_the_server() -> None:
    assert "self.handle_exit" in source(uvicorn.Server.capture_signals), (
        "uvicorn no longer installs Server.handle_exit() as the signal handler. Adapt api/cli/actions/serve.py."
    )


def test_uvicorn_ends_a_reply_as_expected() -> None:
    assert source(HttpToolsProtocol.on_response_complete) == END_OF_A_REPLY.strip(), (
        "uvicorn ends a reply in another way. Adapt api/server/connections/protocol.py, which parses the next request then."
    )
    cycle = source(RequestResponseCycle.send)
    assert "if not self.keep_alive:\n                self.transport.close()\n            self.on_response()" in cycle, (
        "uvicorn closes a connection in another way. Adapt ReplyTransport in api/server/connections/protocol.py."
    )
    assert "self.chunked_encoding is None" in cycle, (
        "uvicorn frames replies in another way. Adapt api/server/connections/http_1_0.py."
    )


def test_uvicorn_starts_a_request_as_expected() -> None:
    begun = source(HttpToolsProtocol.on_headers_complete)
    assert (
        "self.cycle = RequestResponseCycle(\n        scope=self.scope,\n        transport=self.transport," in begun
    ), "uvicorn starts a request in another way. Adapt on_headers_complete() in api/server/connections/protocol.py."


class FakeRuntime:
    def __init__(self) -> None:
        self.shutdowns = 0

    def begin_shutdown(self) -> None:
        self.shutdowns += 1


def test_second_interrupt_forces_the_server_to_stop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serve, "end_hard_after", lambda _: None)  # it would end this process
    runtime: Any = FakeRuntime()
    server = serve._Server(uvicorn.Config("unused"), runtime, "unused")
    server.handle_exit(signal.SIGTERM, None)
    assert (server.should_exit, server.force_exit, runtime.shutdowns) == (True, False, 1)
    server.handle_exit(signal.SIGTERM, None)
    assert not server.force_exit
    server.handle_exit(signal.SIGINT, None)
    assert server.force_exit
    assert server._captured_signals == []
