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

from api.app import create_app
from api.cli.output import exit_with_error
from api.dependencies.replica import require_replica_of
from api.http import unbuilt_projections
from api.runs.supervisor import RunSupervisor
from api.server.shutdown import ShutdownSignal
from api.service import Service
from api.settings import Settings
from api.wiring import open_service
from projections import projector

SECONDS_TO_END_REQUESTS = 10

logger = logging.getLogger("offer_ledger")


def serve(
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="The port to listen on.", min=0, max=65535)] = 8000,
    workers: Annotated[int, typer.Option(help="Processes; more than one needs PostgreSQL.", min=1)] = 1,
) -> None:
    """Serve HTTP until interrupted."""
    if workers > 1 and not Settings().is_shared:
        exit_with_error("SQLite serves one process: --workers above 1 needs a ledger on PostgreSQL.", exit_code=2)
    if workers > 1:
        _serve_by_many(host, port, workers)
        return
    with open_service() as service:
        require_replica_of(service)
        _tell_what_is_not_built(service)
        app = create_app(service, warm=True)
        config = uvicorn.Config(
            app, host=host, port=port, server_header=False, timeout_graceful_shutdown=SECONDS_TO_END_REQUESTS
        )
        server = _Server(config, app.state.desk, app.state.leaving)
        _spare_what_stays()
        # uvicorn has codes of its own for what it could not do, and has said what that was.
        with suppress(KeyboardInterrupt, SystemExit):
            server.run()
        sys.exit(0 if server.started else 1)


def _serve_by_many(host: str, port: int, workers: int) -> None:
    """By processes that share a socket; one that dies, or stands still, is begun again."""
    # What keeps all of them from beginning is told once.
    with open_service() as service:
        require_replica_of(service)
        _tell_what_is_not_built(service)
    config = uvicorn.Config(
        "api.cli.commands.serve:worker",
        factory=True,
        workers=workers,
        host=host,
        port=port,
        server_header=False,
        timeout_graceful_shutdown=SECONDS_TO_END_REQUESTS,
    )
    socket = config.bind_socket()
    # So nobody is refused while no worker is there: callers wait for the next one.
    socket.listen(config.backlog)
    Multiprocess(config, [socket]).run()


_opened = ExitStack()
atexit.register(_opened.close)


def worker() -> FastAPI:
    """What one of several processes serves, until it ends."""
    app = create_app(_opened.enter_context(open_service()), warm=True)
    _spare_what_stays()
    for number in (signal.SIGINT, signal.SIGTERM):
        _tell_first(app, number)
    return app


def _tell_first(app: FastAPI, number: int) -> None:
    """As _Server does: nobody shall wait any longer when uvicorn begins to end."""
    uvicorns: Any = signal.getsignal(number)

    def handle(sig: int, frame: FrameType | None) -> None:
        app.state.desk.begin_shutdown()
        app.state.leaving.set()
        uvicorns(sig, frame)

    signal.signal(number, handle)


def _tell_what_is_not_built(service: Service) -> None:
    if names := projector.not_built(service.ledger):
        told = (", ".join(names), unbuilt_projections.rebuild_command_line(names))
        logger.warning("Not built yet: %s. Until that is done beside this server, reads of it are refused: %s", *told)


def _spare_what_stays() -> None:
    """What is there by now stays until the end: the garbage collector would look at all of it every thousand requests or so,
    while everyone waits."""
    gc.collect()
    gc.freeze()


class _Server(uvicorn.Server):
    """One that lets nobody wait for a run, for news or for a slow reader, once it has been asked to end: runs go on without them."""

    def __init__(self, config: uvicorn.Config, desk: RunSupervisor, leaving: ShutdownSignal) -> None:
        super().__init__(config)
        self._desk = desk
        self._leaving = leaving

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self._desk.begin_shutdown()
        self._leaving.set()
        super().handle_exit(sig, frame)
        # uvicorn would raise the signal again at its end; to be asked to end is no failure.
        self._captured_signals.clear()
