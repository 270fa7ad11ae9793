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
from uvicorn.protocols.http.h11_impl import H11Protocol

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

REPLY_TO_INVALID_HTTP = """
def send_400_response(self, msg: str) -> None:
    reason = STATUS_PHRASES[400]
    headers: list[tuple[bytes, bytes]] = [
        (b"content-type", b"text/plain; charset=utf-8"),
        (b"connection", b"close"),
    ]
    event = h11.Response(status_code=400, headers=headers, reason=reason)
    output = self.conn.send(event)
    self.transport.write(output)

    output = self.conn.send(event=h11.Data(data=msg.encode("ascii")))
    self.transport.write(output)

    output = self.conn.send(event=h11.EndOfMessage())
    self.transport.write(output)

    self.transport.close()
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


def test_uvicorn_answers_invalid_http_as_expected() -> None:
    assert source(H11Protocol.send_400_response) == REPLY_TO_INVALID_HTTP.strip(), (
        "uvicorn answers invalid HTTP in another way. Adapt api/server/http_protocol.py, which replaces this method."
    )
    assert "self._unsupported_upgrade_warning()" in source(H11Protocol._should_upgrade), (
        "uvicorn warns about upgrades in another way. Adapt api/server/http_protocol.py, which replaces that method."
    )


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
