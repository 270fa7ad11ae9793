"""offer-ledger import"""

from pathlib import Path
from typing import Annotated

import typer

from api.batch_intake import ALL_FAILED, read_batch, reply
from api.cli.output import AsJson, fail, print_json, print_table, progress, say
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
    """Carry out a batch from a file.

    As if its partner had sent it: the same file again changes nothing."""
    with open_service() as service:
        body = _body(file, service.settings.max_body_bytes)
        with progress("Judging the offers") as watch:
            command = read_batch(body, partner, service.settings.max_items, watch)
        with progress("Recording the run") as watch:
            ran = service.ledger.run_batch(command, cli_origin())
            watch(1, 1)
    if as_json:
        print_json(reply(ran.run))
    else:
        _print(ran)
    if ran.run.outcome.all_failed:
        fail(ALL_FAILED)


def _body(file: Path, max_bytes: int) -> bytes:
    if file.stat().st_size > max_bytes:
        fail(f"FILE: is larger than {max_bytes} bytes (OFFER_LEDGER_MAX_BODY_BYTES).")
    return file.read_bytes()


def _print(ran: Ran) -> None:
    outcome = ran.run.outcome
    again = " (it had been carried out before; nothing was done now)" if ran.replayed else ""
    say(f"Run {ran.run.run_id}, {ran.run.operation}{again}")
    say(", ".join(f"{count} {name}" for name, count in outcome.counts.items()))
    for message in outcome.messages:
        say(message)
    told = _lines("updated", outcome.updated) + _lines("failed", outcome.failed)
    if told:
        print()
        print_table(("offer", "outcome", "message"), told[:LINES_SHOWN])
    if len(told) > LINES_SHOWN:
        say(f"... and {len(told) - LINES_SHOWN} more messages: --json prints them all")


def _lines(what: str, items: list[ItemOutcome]) -> list[tuple[str | None, str, str]]:
    return [(item.external_id, what, message) for item in items for message in item.messages]
