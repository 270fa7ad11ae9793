"""What is told of a run, and of each offer in it?"""

from collections.abc import Iterator
from itertools import islice
from typing import Any, assert_never
from uuid import UUID

import msgspec

from api.http import pagination
from api.http.problems import Problem
from domain.ledgers.ledger import LedgerReader
from domain.runs.run import Batch, ItemOutcome, OffersFile, OutcomeCounts, Run
from domain.store.cursor import Cursor
from domain.store.records.run_outcomes import select_outcome
from domain.store.records.runs import RunFilter, select_runs
from domain.values import utc_text

REFUSED_STATE = "refused"


def run_page(
    ledger: LedgerReader, wanted: RunFilter, cursor: str | None, limit: int, *, visible: bool
) -> tuple[list[Run], str | None]:
    """The runs that match, the newest first, and the cursor of the following page. Raises InvalidCursor."""
    after = pagination.decode_cursor(wanted, cursor)
    found: list[tuple[int, Run]] = []
    if visible:
        with ledger.read() as tx:
            found = list(select_runs(tx, wanted, after, limit + 1))
    more = found[limit - 1][0] if len(found) > limit else None
    return [run for _, run in found[:limit]], pagination.encode_cursor(wanted, more)


def item_page(
    tx: Cursor, run_id: UUID, outcome: str | None, cursor: str | None, limit: int
) -> tuple[list[Any], str | None]:
    """The items of a run, in the same way; none while it is not finished. Raises InvalidCursor."""
    question = ("items", run_id, outcome)
    found = list(islice(run_items(tx, run_id, outcome, pagination.decode_cursor(question, cursor)), limit + 1))
    more = found[limit][0] if len(found) > limit else None
    return [item for _, item in found[:limit]], pagination.encode_cursor(question, more)


_decode_items = msgspec.json.Decoder(list[ItemOutcome]).decode


def run_document(run: Run) -> dict[str, Any]:
    """A run as its readers get it. A batch has no file name, an offers file no operation and no request id."""
    asked: dict[str, Any] = {"operation": None, "concurrencyRequestId": None, "fileName": None}
    match run.input:
        case Batch(operation=operation, concurrency_request_id=request_id):
            asked |= {"operation": operation, "concurrencyRequestId": request_id}
        case OffersFile(name=name):
            asked["fileName"] = name
        case _:
            assert_never(run.input)
    return {
        "runId": run.run_id,
        "partner": run.partner,
        "channel": run.channel,
        **asked,
        "source": run.source,
        "actor": run.actor,
        "state": run.state,
        "acceptedAt": utc_text(run.accepted_at),
        "finishedAt": utc_text(run.finished_at) if run.finished_at else None,
        "counts": run.counts,
        "messages": run.messages,
        "position": run.position,
        "problem": run.problem,
    }


def run_items(tx: Cursor, run_id: UUID, outcome: str | None = None, after: int = 0) -> Iterator[tuple[int, Any]]:
    """The items of a run with their places, from that one on, of one outcome or all."""
    for part in select_outcome(tx, run_id, outcome, after):
        for place, item in enumerate(_decode_items(part.items), part.first_item):
            if place >= after:
                yield place, _item_document(part.outcome, item)


def counts_of(run: Run) -> str:
    """What became of an offers file, in a line."""
    counts = msgspec.structs.asdict(run.counts or OutcomeCounts())
    return ", ".join(f"{count} {outcome}" for outcome, count in counts.items() if count) or "no records"


def file_report(tx: Cursor, run: Run) -> dict[str, Any]:
    """An offers file that was carried out: its run, and what became of each record."""
    return {**run_document(run), "records": [item for _, item in run_items(tx, run.run_id)]}


def refusal_report(partner: str, file_name: str, problem: Problem) -> dict[str, Any]:
    """An offers file of which nothing was applied, in the shape of one that was."""
    told = {"type": problem.kind, "title": problem.title, "status": problem.status, "detail": problem.detail}
    errors = [{"pointer": error.pointer, "message": error.message} for error in problem.errors]
    return {
        "runId": None,
        "partner": partner,
        "fileName": file_name,
        "state": REFUSED_STATE,
        "counts": None,
        "messages": [],
        "problem": {**told, "errors": errors},
        "records": [],
    }


def _item_document(outcome: str, item: ItemOutcome) -> dict[str, Any]:
    return {
        "merchantId": item.merchant_id,
        "externalId": item.external_id,
        "outcome": outcome,
        "messages": item.messages,
    }
