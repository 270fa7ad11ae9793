"""offer-ledger serve"""

import sys
from typing import Annotated

import typer
import uvicorn

from api.app import create_app
from api.cli.output import fail
from api.wiring import open_service


def serve(
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="The port to listen on.", min=0, max=65535)] = 8000,
    workers: Annotated[int, typer.Option(help="Processes; more than one needs PostgreSQL.", min=1)] = 1,
) -> None:
    """Serve HTTP until interrupted."""
    if workers > 1:
        fail("SQLite serves one process: --workers above 1 needs a ledger on PostgreSQL.", exit_code=2)
    with open_service() as service:
        try:
            uvicorn.run(create_app(service, warm=True), host=host, port=port, server_header=False)
        except SystemExit as ended:
            # uvicorn has codes of its own, and has said what is wrong.
            sys.exit(1 if ended.code else 0)
