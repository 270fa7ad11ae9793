"""Processes a batch or an offers file."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec

from api.channels.batch_replies import ALL_FAILED, LISTS, finished_reply
from api.cli.local_ledger import open_ledger
from api.cli.local_runs import accept_batch_or_file, execute_locally, require_partner
from api.cli.messages import exit_with_error, print_line
from api.cli.output import print_json, print_table
from api.cli.progress_bar import progress
from api.runs.execution import FAILED, RunFailed
from api.runs.report import counts_of, file_report, input_of
from api.service import Service
from domain.runs.batch_reconciliation import SAME_DATA
from domain.runs.run import Batch, Run, RunState

MAX_MESSAGES = 20


def process_file(file: Path, partner: str, *, as_json: bool) -> None:
    with open_ledger() as service:
        require_partner(service, partner)
        size = file.stat().st_size
        with progress("Copying the file", whole_bytes=size) as on_progress:
            accepted = accept_batch_or_file(service, file, partner, on_progress)
        with progress("Processing the offers", whole_bytes=size, last_step="Storing the changes") as on_progress:
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
    print_line(f"Run {run.run_id}, {input_of(run)}{note}")
    if isinstance(run.input, Batch):
        print_line(", ".join(f"{count} {name}" for name, count in document["data"]["counts"].items()))
        rows = list(_batch_rows(document["data"]))
    else:
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
    """Yields the messages about offers, failures first, except the one that most offers of a usual batch have."""
    for outcome in ("failed", "updated", "created", "unchanged"):
        for item in msgspec.json.decode(data[LISTS[outcome]]):
            messages = (message for message in item["messages"] if message != SAME_DATA)
            yield from ((item["externalId"], outcome, message) for message in messages)


def _file_rows(records: Iterable[dict[str, Any]]) -> Iterable[tuple[str | None, str, str]]:
    for record in records:
        ids = [record["merchantId"], record["externalId"]]
        offer = " / ".join(filter(None, ids)) or None
        yield from ((offer, record["outcome"], message) for message in record["messages"])
