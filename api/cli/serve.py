"""offer-ledger serve"""

import gc
import logging
import sys
from contextlib import suppress
from types import FrameType
from typing import Annotated

import typer
import uvicorn

from api import not_built
from api.app import create_app
from api.cli.output import fail
from api.leaving import Leaving
from api.run_desk import RunDesk
from api.wiring import Service, open_service
from projections import projector

SECONDS_TO_END_REQUESTS = 10

logger = logging.getLogger("offer_ledger")


def serve(
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="The port to listen on.", min=0, max=65535)] = 8000,
    workers: Annotated[int, typer.Option(help="Processes; more than one needs PostgreSQL.", min=1)] = 1,
) -> None:
    """Serve HTTP until interrupted."""
    if workers > 1:
        fail("SQLite serves one process: --workers above 1 needs a ledger on PostgreSQL.", exit_code=2)
    with open_service() as service:
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


def _tell_what_is_not_built(service: Service) -> None:
    if names := projector.not_built(service.ledger):
        told = (", ".join(names), not_built.command(names))
        logger.warning("Not built yet: %s. Until that is done beside this server, reads of it are refused: %s", *told)


def _spare_what_stays() -> None:
    """What is there by now stays until the end: the garbage collector would look at all of it every thousand requests or so,
    while everyone waits."""
    gc.collect()
    gc.freeze()


class _Server(uvicorn.Server):
    """One that lets nobody wait for a run, for news or for a slow reader, once it has been asked to end: runs go on without them."""

    def __init__(self, config: uvicorn.Config, desk: RunDesk, leaving: Leaving) -> None:
        super().__init__(config)
        self._desk = desk
        self._leaving = leaving

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self._desk.leave()
        self._leaving.tell()
        super().handle_exit(sig, frame)
        # uvicorn would raise the signal again at its end; to be asked to end is no failure.
        self._captured_signals.clear()
