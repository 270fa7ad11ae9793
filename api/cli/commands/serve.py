"""offer-ledger serve"""

import atexit
import gc
import logging
import signal
import sys
from contextlib import ExitStack, suppress
from types import FrameType
from typing import Annotated, Any

import typer
import uvicorn
from fastapi import FastAPI
from uvicorn.supervisors import Multiprocess

from api.cli.output import exit_with_error
from api.dependencies.replica import require_replica_of
from api.http import unbuilt_projections
from api.runs.server_runtime import ServerRuntime, server_runtime_of
from api.service import Service
from api.settings import Settings
from api.wiring import open_service
from projections import projector

SHUTDOWN_TIMEOUT_SECONDS = 10

logger = logging.getLogger("offer_ledger")


def serve(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on. 0: any free port.", min=0, max=65535)] = 8000,
    workers: Annotated[
        int, typer.Option(help="Number of server processes. More than one needs PostgreSQL.", min=1)
    ] = 1,
) -> None:
    """Serve HTTP until SIGTERM or Ctrl-C.

    After that, open requests have 10 seconds to end. Unfinished runs continue in another process, or after the next
    start."""
    if workers > 1 and not Settings().is_shared:
        exit_with_error("--workers: more than one process needs a ledger on PostgreSQL, not SQLite.", exit_code=2)
    if workers > 1:
        _serve_with_processes(host, port, workers)
        return
    with open_service() as service:
        require_replica_of(service)
        _warn_about_unbuilt_projections(service)
        from api.app import create_app  # noqa: PLC0415 - without it, a command starts in 0.6 instead of 1.0 seconds

        app = create_app(service, warm=True)
        config = uvicorn.Config(
            app, host=host, port=port, server_header=False, timeout_graceful_shutdown=SHUTDOWN_TIMEOUT_SECONDS
        )
        server = _Server(config, server_runtime_of(app))
        _freeze_live_objects()
        # uvicorn logs why it could not start, and exits with codes of its own.
        with suppress(KeyboardInterrupt, SystemExit):
            server.run()
        sys.exit(0 if server.started else 1)


def _serve_with_processes(host: str, port: int, workers: int) -> None:
    """Serves with several processes that share a socket; a process that dies or stalls is replaced."""
    # An error that prevents every server process from starting is reported once, here.
    with open_service() as service:
        require_replica_of(service)
        _warn_about_unbuilt_projections(service)
    config = uvicorn.Config(
        "api.cli.commands.serve:create_process_app",
        factory=True,
        workers=workers,
        host=host,
        port=port,
        server_header=False,
        timeout_graceful_shutdown=SHUTDOWN_TIMEOUT_SECONDS,
    )
    socket = config.bind_socket()
    # Connections are queued, not refused, while no server process is running.
    socket.listen(config.backlog)
    Multiprocess(config, [socket]).run()


_open_resources = ExitStack()
atexit.register(_open_resources.close)


def create_process_app() -> FastAPI:
    """Creates the application of one of several server processes."""
    from api.app import create_app  # noqa: PLC0415 - without it, a command starts in 0.6 instead of 1.0 seconds

    app = create_app(_open_resources.enter_context(open_service()), warm=True)
    _freeze_live_objects()
    for number in (signal.SIGINT, signal.SIGTERM):
        _begin_shutdown_on(app, number)
    return app


def _begin_shutdown_on(app: FastAPI, number: int) -> None:
    """Ends all waiting requests before uvicorn's own signal handler runs, as `_Server.handle_exit` does."""
    uvicorn_handler: Any = signal.getsignal(number)

    def handle(sig: int, frame: FrameType | None) -> None:
        server_runtime_of(app).begin_shutdown()
        uvicorn_handler(sig, frame)

    signal.signal(number, handle)


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


class _Server(uvicorn.Server):
    """A server whose shutdown ends all waits: for runs, for notifications and for slow readers. The runs continue."""

    def __init__(self, config: uvicorn.Config, runtime: ServerRuntime) -> None:
        super().__init__(config)
        self._runtime = runtime

    def handle_exit(self, sig: int, _: FrameType | None) -> None:
        """Replaces uvicorn's method, which also records the signal and raises it again at the end. A requested stop
        is not a failure, so this process exits with 0."""
        self._runtime.begin_shutdown()
        if self.should_exit and sig == signal.SIGINT:
            self.force_exit = True
        self.should_exit = True
