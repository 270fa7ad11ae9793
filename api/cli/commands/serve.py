"""offer-ledger serve, offer-ledger demo"""

from typing import Annotated

import typer

from api.cli.option_types import AsJson
from api.cli.registry import example
from api.processes.signals import log_hangups


@example("offer-ledger serve --host 127.0.0.1 --port 8000")
def serve_command(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on. 0: any free port.", min=0, max=65535)] = 8000,
    workers: Annotated[
        int, typer.Option(help="Number of server processes. More than one needs PostgreSQL.", min=1)
    ] = 1,
) -> None:
    """Serve HTTP until SIGTERM or Ctrl-C.

    After that, open requests have 10 seconds to end. Unfinished runs continue in another process, or after the next
    start. If the database is empty, the command creates a ledger first."""
    # Before the imports below, which take seconds on a busy host.
    log_hangups()
    from api.cli.actions import serve

    serve.run_server(host, port, workers)


Serve = Annotated[
    bool,
    typer.Option(
        "--serve", help="Keep the server running after the last step, and print links to the console. Ctrl-C stops it."
    ),
]


@example("offer-ledger demo", "offer-ledger demo --serve --port 8080")
def demo_command(
    host: Annotated[str, typer.Option(help="Address on which the demo's server listens.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port of the demo's server. 0: any free port.", min=0, max=65535)] = 0,
    *,
    serve: Serve = False,
    as_json: AsJson = False,
) -> None:
    """Play an example day on a temporary ledger.

    Two partners, a publisher and an auditor call a real server. The demo explains each step and checks each reply. It
    ignores all settings and leaves nothing behind."""
    from api.cli.demo import command

    command.play_demo(serve=serve, host=host, port=port, as_json=as_json)
