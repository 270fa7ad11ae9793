"""Undoes a run, or shows what an undo would do."""

from typing import Any
from uuid import UUID

from api.cli.local_ledger import open_ledger
from api.cli.local_runs import execute_locally
from api.cli.local_user import cli_origin
from api.cli.messages import exit_with_error, print_line
from api.cli.output import print_json, print_table
from api.cli.progress_bar import progress
from api.runs.execution import FAILED, RunFailed
from api.runs.report import PLANNED_ITEMS, counts_line, counts_of, run_document, undo_plan_document
from api.service import Service
from domain.ledgers.undo_ledger import accept_undo, preview_undo
from domain.runs.run import Run, RunState


def undo(run_id: UUID, reason: str, *, is_plan: bool, as_json: bool) -> None:
    with open_ledger() as service:
        if is_plan:
            _show_plan(service, run_id, as_json=as_json)
        else:
            _undo(service, run_id, reason, as_json=as_json)


def _show_plan(service: Service, run_id: UUID, *, as_json: bool) -> None:
    preview = preview_undo(service.runs, run_id)
    document = undo_plan_document(preview)
    if as_json:
        print_json(document)
        return
    print_line(f"The undo of run {run_id} would have these outcomes: {counts_line(preview.plan.outcome.counts)}")
    _print_items(document["items"])
    if len(document["items"]) == PLANNED_ITEMS:
        print_line(f"The list ends after {PLANNED_ITEMS} offers.")


def _undo(service: Service, run_id: UUID, reason: str, *, as_json: bool) -> None:
    accepted = accept_undo(service.runs, run_id, cli_origin(reason))
    with progress("Storing the opposite events") as on_progress:
        try:
            run, is_new = execute_locally(service, accepted.run, on_progress)
        except RunFailed as failed:
            exit_with_error(FAILED.detail, f"Cause: {failed.report.strip().splitlines()[-1]}")
    if run.state is RunState.FAILED:
        exit_with_error(run.problem.detail if run.problem else FAILED.detail)
    if as_json:
        print_json(run_document(run))
    else:
        _print_run(run, "" if is_new else " (accepted before; nothing was changed)")


def _print_run(run: Run, note: str) -> None:
    print_line(f"Run {run.run_id}{note}")
    print_line(counts_of(run))


def _print_items(items: list[dict[str, Any]]) -> None:
    print_table(
        ("merchantId", "externalId", "outcome", "messages"),
        [(item["merchantId"], item["externalId"], item["outcome"], "; ".join(item["messages"])) for item in items],
    )
