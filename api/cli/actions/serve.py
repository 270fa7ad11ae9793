"""Serves HTTP in one process or in several."""

import atexit
import gc
import logging
import os
import signal
import socket
import sys
from contextlib import ExitStack, suppress
from types import FrameType
from typing import Any

import uvicorn
from fastapi import FastAPI

from api.access.credentials import new_secret
from api.bounds.settings import setting_variable
from api.cli.listeners import open_listeners, url_of
from api.cli.local_ledger import create_ledger_if_missing, open_ledger
from api.cli.messages import exit_with_error
from api.dependencies.replica import require_replica_of
from api.http import unbuilt_projections
from api.processes.graceful_server import GracefulServer
from api.processes.server_processes import ServerProcesses
from api.processes.signals import end_hard_after, log_hangups
from api.runs.server_runtime import ServerRuntime, server_runtime_of
from api.server.connections.event_loop import EVENT_LOOP
from api.server.connections.protocol import BoundedHttpProtocol
from api.server.request_log import request_log_config
from api.service import Service
from api.settings import Settings
from projections import projector

SHUTDOWN_TIMEOUT_SECONDS = 10
HARD_END_SECONDS = 25.0
"""The time from SIGTERM to the hard end: requests, then runs, then a write that waits for the ledger's lock."""
THREAD_END_SECONDS = 10.0
"""The time that threads have when nothing waits for them any more. Python can't end a thread."""

logger = logging.getLogger("offer_ledger")


def run_server(host: str, port: int, workers: int) -> None:
    if workers > 1 and not Settings().is_shared:
        exit_with_error("--workers: more than one process needs a ledger on PostgreSQL, not SQLite.", exit_code=2)
    log_hangups()
    with open_listeners(host, port) as listeners:
        create_ledger_if_missing()
        _share_console_key()
        if workers > 1:
            _serve_with_processes(listeners, url_of(host, listeners), workers)
        else:
            _serve_with_one_process(listeners, url_of(host, listeners))


def _share_console_key() -> None:
    """Makes a key for all processes of this server if a ledger on PostgreSQL has none in the settings."""
    settings, variable = Settings(), setting_variable("console_key")
    if settings.is_shared and settings.console_key is None:
        os.environ[variable] = new_secret()
        logger.warning(
            "%s is not set: console sessions end when this server stops, and other hosts do not accept them;"
            " set the same value on all hosts",
            variable,
        )


def _serve_with_one_process(listeners: list[socket.socket], url: str) -> None:
    with open_ledger() as service:
        require_replica_of(service)
        service.sessions.prepare()
        _warn_about_unbuilt_projections(service)
        app = _create_app(service)
        server = _Server(_config(app), server_runtime_of(app), url)
        _freeze_live_objects()
        # uvicorn logs why it could not start, and exits with codes of its own.
        with suppress(KeyboardInterrupt, SystemExit):
            server.run(sockets=listeners)
        end_hard_after(THREAD_END_SECONDS)
        sys.exit(0 if server.started else 1)


def _config(app: FastAPI | str, **options: Any) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http=BoundedHttpProtocol,
        loop=EVENT_LOOP,
        ws="none",
        server_header=False,
        # Its lines would have paths with ids and query strings; the entrance of the application logs every request.
        access_log=False,
        log_config=request_log_config(),
        timeout_graceful_shutdown=SHUTDOWN_TIMEOUT_SECONDS,
        **options,
    )


def _log_address(url: str) -> None:
    logging.getLogger("uvicorn.error").info("Uvicorn running on %s (Press CTRL+C to quit)", url)


def _serve_with_processes(listeners: list[socket.socket], url: str, workers: int) -> None:
    """Serves with several processes that share a socket; a process that dies or stalls is replaced."""
    # An error that prevents every server process from starting is reported once, here.
    with open_ledger() as service:
        require_replica_of(service)
        _warn_about_unbuilt_projections(service)
    config = _config("api.cli.actions.serve:create_process_app", factory=True, workers=workers)
    _log_address(url)
    ServerProcesses(config, listeners).run()


_open_resources = ExitStack()
atexit.register(_open_resources.close)


def create_process_app() -> FastAPI:
    """Creates the application of one of several server processes."""
    app = _create_app(_open_resources.enter_context(open_ledger()))
    _freeze_live_objects()
    for number in (signal.SIGINT, signal.SIGTERM):
        _begin_shutdown_on(app, number)
    return app


def _begin_shutdown_on(app: FastAPI, number: int) -> None:
    """Ends all waiting requests before uvicorn's own signal handler runs, as `_Server.handle_exit` does."""
    uvicorn_handler: Any = signal.getsignal(number)

    def handle(sig: int, frame: FrameType | None) -> None:
        end_hard_after(HARD_END_SECONDS)
        server_runtime_of(app).begin_shutdown()
        uvicorn_handler(sig, frame)

    signal.signal(number, handle)


def _create_app(service: Service) -> FastAPI:
    # The parent of several server processes does not import the application, so they start earlier.
    from api.app import create_app  # noqa: PLC0415 - see above

    return create_app(service, warm=True)


def _warn_about_unbuilt_projections(service: Service) -> None:
    if names := projector.unbuilt_projections(service.ledger):
        logger.warning(
            "projections not built: %s; requests that read them are refused until you run, beside this server: %s",
            ", ".join(names),
            unbuilt_projections.rebuild_command_line(names),
        )


def _freeze_live_objects() -> None:
    """Excludes all present objects from garbage collection: they live until the process ends.

    Otherwise the collector scans all of them about every thousand requests, and every request waits for it."""
    gc.collect()
    gc.freeze()


class _Server(GracefulServer):
    """A server whose shutdown ends all waits: for runs, for notifications and for slow readers. The runs continue."""

    def __init__(self, config: uvicorn.Config, runtime: ServerRuntime, url: str) -> None:
        super().__init__(config)
        self._runtime, self._url = runtime, url

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            _log_address(self._url)

    def handle_exit(self, sig: int, _: FrameType | None) -> None:
        """Replaces uvicorn's method, which also records the signal and raises it again at the end. A requested stop
        is not a failure, so this process exits with 0."""
        end_hard_after(HARD_END_SECONDS)
        self._runtime.begin_shutdown()
        if self.should_exit and sig == signal.SIGINT:
            self.force_exit = True
        self.should_exit = True
