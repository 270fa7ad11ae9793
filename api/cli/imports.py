"""offer-ledger import"""

from pathlib import Path
from typing import Annotated

import typer

from api.batch_intake import read_batch, reply, require_success
from api.cli.output import AsJson, print_json, print_table, progress
from api.cli.who import cli_origin
from api.wiring import open_service
from domain.ledger import Ran
from domain.run import ItemOutcome

LINES_SHOWN = 20


def import_file(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="A batch, as it would be sent.", exists=True, dir_okay=False)
    ],
    partner: Annotated[str, typer.Option(help="Whose offers they are.")],
    *,
    as_json: AsJson = False,
) -> None:
    """Carry out a batch from a file, as if its partner had sent it; the same file again changes nothing."""
    with open_service() as service:
        with progress("Judging the offers") as advance:
            command = read_batch(file.read_bytes(), partner, service.settings.max_items, advance)
        with progress("Recording the run", total=1) as advance:
            ran = service.ledger.run_batch(command, cli_origin(partner))
            advance(1)
    if as_json:
        require_success(ran.run, {})
        print_json(reply(ran.run))
    else:
        _print(ran)
        require_success(ran.run, {})


def _print(ran: Ran) -> None:
    outcome = ran.run.outcome
    again = " (it had been carried out before; nothing was done now)" if ran.replayed else ""
    print(f"Run {ran.run.run_id}, {ran.run.operation}{again}")
    print(", ".join(f"{count} {name}" for name, count in outcome.counts.items()))
    for message in outcome.messages:
        print(message)
    told = _lines("updated", outcome.updated) + _lines("failed", outcome.failed)
    if told:
        print()
        print_table(("offer", "", "message"), told[:LINES_SHOWN], empty="")
    if len(told) > LINES_SHOWN:
        print(f"... and {len(told) - LINES_SHOWN} more messages: --json prints them all")


def _lines(what: str, items: list[ItemOutcome]) -> list[tuple[str | None, str, str]]:
    return [(item.external_id, what, message) for item in items for message in item.messages]
