"""offer-ledger import"""

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from api.channels.batch_replies import ALL_FAILED, LISTS, finished_reply
from api.cli.local_runs import accept_batch_or_file, execute_locally, require_partner
from api.cli.output import AsJson, exit_with_error, print_json, print_line, print_table, progress
from api.runs.execution import FAILED, RunFailed
from api.runs.report import counts_of, file_report
from api.service import Service
from api.wiring import open_service
from domain.runs.batch_reconciliation import SAME_DATA
from domain.runs.run import Batch, Run, RunState

MAX_MESSAGES = 20


def import_file(
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE",
            help="Batch or offers file; its content decides which of the two it is.",
            exists=True,
            dir_okay=False,
        ),
    ],
    partner: Annotated[str, typer.Option(help="Partner of the offers.")],
    *,
    as_json: AsJson = False,
) -> None:
    """Process a batch or an offers file.

    The outcome is the same as if the partner had sent the file over HTTP. A batch that was accepted before, or the
    partner's newest file, changes nothing: the command prints the first outcome. If the command is interrupted, a
    server finishes the run; so does the same command, if you repeat it."""
    with open_service() as service:
        require_partner(service, partner)
        with progress("Storing the file") as on_progress:
            accepted = accept_batch_or_file(service, file, partner, on_progress)
        with progress("Processing the offers") as on_progress:
            try:
                run, is_new = execute_locally(service, accepted.run, on_progress)
            except RunFailed as failed:
                exit_with_error(FAILED.detail, f"Cause: {failed.report.strip().splitlines()[-1]}")
        if run.state is RunState.FAILED:
            exit_with_error(FAILED.detail)
        document = _document(service, run)
    if as_json:
        print_json(document)
    else:
        _print(run, document, is_new=is_new)
    if isinstance(run.input, Batch) and run.all_failed:
        exit_with_error(ALL_FAILED)


def _document(service: Service, run: Run) -> dict[str, Any]:
    with service.ledger.recorder.read() as tx:
        return finished_reply(tx, run) if isinstance(run.input, Batch) else file_report(tx, run)


def _print(run: Run, document: dict[str, Any], *, is_new: bool) -> None:
    note = "" if is_new else " (accepted before; nothing was changed)"
    if isinstance(run.input, Batch):
        print_line(f"Run {run.run_id}, {run.input.operation}{note}")
        print_line(", ".join(f"{count} {name}" for name, count in document["data"]["counts"].items()))
        rows = list(_batch_rows(document["data"]))
    else:
        print_line(f"Run {run.run_id}, {run.input.name}{note}")
        print_line(counts_of(run))
        rows = list(_file_rows(document["records"]))
    for message in run.messages:
        print_line(message)
    if rows:
        print()
        print_table(("offer", "outcome", "message"), rows[:MAX_MESSAGES])
    if len(rows) > MAX_MESSAGES:
        print_line(f"... and {len(rows) - MAX_MESSAGES} more messages. --json prints all of them.")


def _batch_rows(data: dict[str, Any]) -> Iterable[tuple[str | None, str, str]]:
    """Yields the messages about offers, except the one that most offers of a usual batch have."""
    for kind, list_name in LISTS.items():
        for item in msgspec.json.decode(data[list_name]):
            messages = (message for message in item["messages"] if message != SAME_DATA)
            yield from ((item["externalId"], kind, message) for message in messages)


def _file_rows(records: Iterable[dict[str, Any]]) -> Iterable[tuple[str | None, str, str]]:
    for record in records:
        ids = [record["merchantId"], record["externalId"]]
        offer = " / ".join(filter(None, ids)) or None
        yield from ((offer, record["outcome"], message) for message in record["messages"])
