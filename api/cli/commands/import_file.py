"""offer-ledger import"""

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from api.channels.batch_replies import ALL_FAILED, finished_reply
from api.cli.local_runs import accept_batch_or_file, carry_out_here, require_partner
from api.cli.output import AsJson, fail, print_json, print_table, progress, say
from api.runs.execution import FAILED, RunFailed
from api.runs.report import file_report, told_counts
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
                run, done_here = carry_out_here(service, accepted.run, watch)
            except RunFailed as failed:
                fail(FAILED.detail, f"The cause: {failed.report.strip().splitlines()[-1]}")
        if run.state is RunState.FAILED:
            fail(FAILED.detail)
        document = _document(service, run)
    if as_json:
        print_json(document)
    else:
        _print(run, document, done_here=done_here)
    if isinstance(run.asked, Batch) and run.all_failed:
        fail(ALL_FAILED)


def _document(service: Service, run: Run) -> dict[str, Any]:
    with service.ledger.recorder.reading() as tx:
        return finished_reply(tx, run) if isinstance(run.asked, Batch) else file_report(tx, run)


def _print(run: Run, document: dict[str, Any], *, done_here: bool) -> None:
    said = "" if done_here else " (it had been accepted before; nothing was done now)"
    if isinstance(run.asked, Batch):
        say(f"Run {run.run_id}, {run.asked.operation}{said}")
        say(", ".join(f"{count} {name}" for name, count in document["data"]["counts"].items()))
        told = list(_batch_lines(document["data"]))
    else:
        say(f"Run {run.run_id}, {run.asked.name}{said}")
        say(told_counts(run))
        told = list(_file_lines(document["records"]))
    for message in run.messages:
        say(message)
    if told:
        print()
        print_table(("offer", "outcome", "message"), told[:LINES_SHOWN])
    if len(told) > LINES_SHOWN:
        say(f"... and {len(told) - LINES_SHOWN} more messages: --json prints them all")


def _batch_lines(data: dict[str, Any]) -> Iterable[tuple[str | None, str, str]]:
    for outcome, items in (("updated", data["updatedOffers"]), ("failed", data["failedOffers"])):
        for item in msgspec.json.decode(items):
            yield from ((item["externalId"], outcome, message) for message in item["messages"])


def _file_lines(records: Iterable[dict[str, Any]]) -> Iterable[tuple[str | None, str, str]]:
    for record in records:
        ids = [record["merchantId"], record["externalId"]]
        offer = " / ".join(filter(None, ids)) or None
        yield from ((offer, record["outcome"], message) for message in record["messages"])
