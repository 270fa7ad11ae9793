"""Lists runs, and shows a run and the outcomes of its offers."""

from typing import Any, get_args
from uuid import UUID

from api.cli.local_ledger import open_ledger
from api.cli.messages import exit_with_error, print_line
from api.cli.option_errors import cursor_errors
from api.cli.output import print_json, print_next_command, print_table
from api.runs.report import counts_of, input_of, item_page, run_document, run_page
from api.runs.schemas import OutcomeName
from api.service import Service
from domain.runs.run import Run
from domain.store.records.runs import RunFilter, find_run
from domain.values import utc_text
from projections.access.partners import require_registered

__all__ = ["RunFilter", "print_items", "print_run", "print_runs"]


def print_runs(run_filter: RunFilter, limit: int, cursor: str | None, *, as_json: bool) -> None:
    with open_ledger() as service, cursor_errors():
        require_registered(service.ledger, run_filter.partner)
        runs, next_cursor = run_page(service.ledger, run_filter, cursor, limit, visible=True)
    if as_json:
        print_json({"items": [run_document(run) for run in runs], "nextCursor": next_cursor})
        return
    print_table(
        ("runId", "partner", "input", "state", "accepted", "counts"),
        [_run_row(run) for run in runs],
        empty="No runs match.",
    )
    print_next_command(next_cursor)


def print_run(run_id: UUID, *, as_json: bool) -> None:
    with open_ledger() as service:
        run = _find(service, run_id)
        progress = service.runs.progress(run)
    document = run_document(run) | {"progress": progress}
    if as_json:
        print_json(document)
        return
    print_table(
        ("", ""), [(name, _text(value)) for name, value in document.items() if name not in {"counts", "messages"}]
    )
    if run.counts:
        print_line(f"counts: {counts_of(run)}")
    for message in run.messages:
        print_line(message)


def print_items(run_id: UUID, outcome: str | None, limit: int, cursor: str | None, *, as_json: bool) -> None:
    if outcome is not None and outcome not in get_args(OutcomeName):
        exit_with_error(f"--outcome: must be one of {', '.join(get_args(OutcomeName))}.", exit_code=2)
    with open_ledger() as service, cursor_errors():
        run = _find(service, run_id)
        with service.ledger.recorder.read() as tx:
            items, next_cursor = item_page(service.ledger, tx, run.run_id, outcome, cursor, limit)
    if as_json:
        print_json({"items": items, "nextCursor": next_cursor})
        return
    print_table(
        ("merchantId", "externalId", "outcome", "messages"),
        [(item["merchantId"], item["externalId"], item["outcome"], "; ".join(item["messages"])) for item in items],
        empty="No items match."
        if run.is_finished
        else f"The run is {run.state}. Its items follow when it is finished.",
    )
    print_next_command(next_cursor)


def _find(service: Service, run_id: UUID) -> Run:
    with service.ledger.recorder.read() as tx:
        run = find_run(tx, run_id)
    if run is None:
        exit_with_error("There is no such run.")
    return run


def _run_row(run: Run) -> tuple[object, ...]:
    state = f"{run.state}, undone" if run.undone_by else run.state
    counts = counts_of(run) if run.counts else ""
    return (run.run_id, run.partner, input_of(run), state, utc_text(run.accepted_at), counts)


def _text(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name}: {member}" for name, member in value.items())
    return "" if value is None else str(value)
