"""offer-ledger import"""

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from api.channels.batch_replies import ALL_FAILED, finished_reply
from api.cli.local_runs import accept_batch_or_file, execute_locally, require_partner
from api.cli.output import AsJson, exit_with_error, print_json, print_line, print_table, progress
from api.runs.execution import FAILED, RunFailed
from api.runs.report import counts_of, file_report
from api.service import Service
from api.wiring import open_service
from domain.runs.run import Batch, Run, RunState

LINES_SHOWN = 20


def import_file(
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE", help="A batch, as it would be sent, or an offers file.", exists=True, dir_okay=False
        ),
    ],
    partner: Annotated[str, typer.Option(help="Whose offers they are.")],
    *,
    as_json: AsJson = False,
) -> None:
    """Carry out a batch or an offers file.

    As if its partner had sent it: the same file again changes nothing. A run that is interrupted is finished by the
    server, or by the same command given again."""
    with open_service() as service:
        require_partner(service, partner)
        with progress("Storing the request") as watch:
            accepted = accept_batch_or_file(service, file, partner, watch)
        with progress("Judging the offers") as watch:
            try:
                run, done_here = execute_locally(service, accepted.run, watch)
            except RunFailed as failed:
                exit_with_error(FAILED.detail, f"The cause: {failed.report.strip().splitlines()[-1]}")
        if run.state is RunState.FAILED:
            exit_with_error(FAILED.detail)
        document = _document(service, run)
    if as_json:
        print_json(document)
    else:
        _print(run, document, done_here=done_here)
    if isinstance(run.input, Batch) and run.all_failed:
        exit_with_error(ALL_FAILED)


def _document(service: Service, run: Run) -> dict[str, Any]:
    with service.ledger.recorder.read() as tx:
        return finished_reply(tx, run) if isinstance(run.input, Batch) else file_report(tx, run)


def _print(run: Run, document: dict[str, Any], *, done_here: bool) -> None:
    said = "" if done_here else " (it had been accepted before; nothing was done now)"
    if isinstance(run.input, Batch):
        print_line(f"Run {run.run_id}, {run.input.operation}{said}")
        print_line(", ".join(f"{count} {name}" for name, count in document["data"]["counts"].items()))
        told = list(_batch_lines(document["data"]))
    else:
        print_line(f"Run {run.run_id}, {run.input.name}{said}")
        print_line(counts_of(run))
        told = list(_file_lines(document["records"]))
    for message in run.messages:
        print_line(message)
    if told:
        print()
        print_table(("offer", "outcome", "message"), told[:LINES_SHOWN])
    if len(told) > LINES_SHOWN:
        print_line(f"... and {len(told) - LINES_SHOWN} more messages: --json prints them all")


def _batch_lines(data: dict[str, Any]) -> Iterable[tuple[str | None, str, str]]:
    for outcome, items in (("updated", data["updatedOffers"]), ("failed", data["failedOffers"])):
        for item in msgspec.json.decode(items):
            yield from ((item["externalId"], outcome, message) for message in item["messages"])


def _file_lines(records: Iterable[dict[str, Any]]) -> Iterable[tuple[str | None, str, str]]:
    for record in records:
        ids = [record["merchantId"], record["externalId"]]
        offer = " / ".join(filter(None, ids)) or None
        yield from ((offer, record["outcome"], message) for message in record["messages"])
