"""The JSON documents of runs and of their items."""

from collections.abc import Iterator
from itertools import islice
from typing import Any, assert_never
from uuid import UUID

import msgspec

from api.http.pagination import PageCursors
from api.http.problems import Problem
from api.runs.replies.item_lists import list_of_items
from domain.ledgers.ledger import LedgerReader
from domain.ledgers.undo_ledger import UndoPreview
from domain.runs.run import OUTCOMES, Batch, ItemOutcome, OffersFile, OutcomeCounts, Run, Undo
from domain.store.cursor import Cursor
from domain.store.records.run_outcomes import select_outcome
from domain.store.records.runs import RunFilter, select_runs
from domain.values import utc_text
from projections.projection import number_that_fits

REFUSED_STATE = "refused"
PLANNED_ITEMS = 100
"""The number of items that a plan of an undo lists. Its counts have all of them."""


def run_page(
    ledger: LedgerReader, run_filter: RunFilter, cursor: str | None, limit: int, *, visible: bool
) -> tuple[list[Run], str | None]:
    """Returns the matching runs, the newest first, and the cursor of the next page. Raises InvalidCursor."""
    with ledger.read() as tx:
        cursors = PageCursors(ledger.name_in(tx), run_filter)
        after = cursors.decode(cursor)
        rows = list(select_runs(tx, run_filter, after, limit + 1)) if visible else []
    count = number_that_fits([run for _, run in rows[:limit]])
    last = rows[count - 1][0] if len(rows) > count else None
    return [run for _, run in rows[:count]], cursors.encode(last)


def item_page(
    ledger: LedgerReader, tx: Cursor, run_id: UUID, outcome: str | None, cursor: str | None, limit: int
) -> tuple[list[Any], str | None]:
    """Returns the items of a finished run, and the cursor of the next page. Raises InvalidCursor."""
    cursors = PageCursors(ledger.name_in(tx), ("items", run_id, outcome))
    rows = list(islice(run_items(tx, run_id, outcome, cursors.decode(cursor)), limit + 1))
    count = number_that_fits([item for _, item in rows[:limit]])
    next_place = rows[count][0] if len(rows) > count else None
    return [item for _, item in rows[:count]], cursors.encode(next_place)


_decode_items = msgspec.json.Decoder(list[ItemOutcome]).decode


def run_document(run: Run) -> dict[str, Any]:
    """Returns the run as JSON. The members of other inputs than its own are null."""
    input_members: dict[str, Any] = dict.fromkeys(("operation", "concurrencyRequestId", "fileName", "undoOf"))
    match run.input:
        case Batch(operation=operation, concurrency_request_id=request_id):
            input_members |= {"operation": operation, "concurrencyRequestId": request_id}
        case OffersFile(name=name):
            input_members["fileName"] = name
        case Undo(run_id=run_id):
            input_members["undoOf"] = run_id
        case _:
            assert_never(run.input)
    return {
        "runId": run.run_id,
        "partner": run.partner,
        "channel": run.channel,
        **input_members,
        "source": run.source,
        "actor": run.actor,
        "state": run.state,
        "acceptedAt": utc_text(run.accepted_at),
        "finishedAt": utc_text(run.finished_at) if run.finished_at else None,
        "counts": run.counts,
        "messages": run.messages,
        "position": run.position,
        "problem": run.problem,
        "reason": run.reason,
        "undoneBy": run.undone_by,
    }


def run_items(tx: Cursor, run_id: UUID, outcome: str | None = None, after: int = 0) -> Iterator[tuple[int, Any]]:
    """Yields the items of a run with their places, starting at place `after`: all items, or those with one outcome."""
    for part in select_outcome(tx, run_id, outcome, after):
        for place, item in enumerate(_decode_items(part.items), part.first_item):
            if place >= after:
                yield place, _item_document(part.outcome, item)


def input_of(run: Run) -> str:
    """Returns the input of a run in a few words: the operation, the name of the file, or the undone run."""
    match run.input:
        case Batch(operation=operation):
            return str(operation)
        case OffersFile(name=name):
            return name
        case Undo(run_id=run_id):
            return f"undo of {run_id}"
        case _:
            assert_never(run.input)


def counts_of(run: Run) -> str:
    """Summarises the outcomes of a run in one line."""
    return counts_line(run.counts or OutcomeCounts())


def counts_line(numbers: OutcomeCounts) -> str:
    """Summarises numbers of outcomes in one line."""
    counts = msgspec.structs.asdict(numbers)
    return ", ".join(f"{count} {outcome}" for outcome, count in counts.items() if count) or "no records"


def file_report(tx: Cursor, run: Run) -> dict[str, Any]:
    """Returns the report of a processed offers file: its run, and the outcome of each record."""
    return {**run_document(run), "records": [item for _, item in run_items(tx, run.run_id)]}


def file_report_without_items(run: Run) -> dict[str, Any]:
    """Returns the same report with a placeholder for the outcomes of the records."""
    return {**run_document(run), "records": list_of_items()}


def encode_items(outcome: str, items: list[ItemOutcome]) -> bytes:
    return msgspec.json.encode([_item_document(outcome, item) for item in items])


def refusal_report(partner: str, file_name: str, problem: Problem) -> dict[str, Any]:
    """Returns the report of a refused offers file, with the members of `file_report`."""
    members = {"type": problem.kind, "title": problem.title, "status": problem.status, "detail": problem.detail}
    errors = [{"pointer": error.pointer, "message": error.message} for error in problem.errors]
    return {
        "runId": None,
        "partner": partner,
        "fileName": file_name,
        "state": REFUSED_STATE,
        "counts": None,
        "messages": [],
        "problem": {**members, "errors": errors},
        "records": [],
    }


def undo_plan_document(preview: UndoPreview) -> dict[str, Any]:
    """Returns the effect of an undo as JSON: the counts, and up to PLANNED_ITEMS of its items."""
    outcome = preview.plan.outcome
    items = (_item_document(kind, item) for kind in OUTCOMES for item in getattr(outcome, kind))
    return {
        "undoOf": preview.run.run_id,
        "position": preview.position,
        "counts": outcome.counts,
        "items": list(islice(items, PLANNED_ITEMS)),
    }


def _item_document(outcome: str, item: ItemOutcome) -> dict[str, Any]:
    return {
        "merchantId": item.merchant_id,
        "externalId": item.external_id,
        "outcome": outcome,
        "messages": item.messages,
    }
