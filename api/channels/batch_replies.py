"""What is a partner told about a run? (The batch document's reply.)

It is made of the run's record alone, so that the same request is answered with the same words for ever; the stored items
go into it as they lie there.
"""

from typing import Any
from uuid import uuid5

from msgspec import Raw

from domain.runs.run import Batch, OutcomeCounts, Run
from domain.store.cursor import Cursor
from domain.store.records.run_outcomes import select_outcome

ALL_FAILED = "No offer of this batch is in order; nothing has been changed."
RUN_ACCEPTED = "The batch has been accepted and is being carried out"
_LISTS = {
    "created": "createdOffers",
    "updated": "updatedOffers",
    "unchanged": "notChangedOffers",
    "paused": "pausedOffers",
    "failed": "failedOffers",
}


def finished_reply(tx: Cursor, run: Run) -> dict[str, Any]:
    """The reply to a run that is completed."""
    if run.all_failed:
        title, messages = "All Items Failed", [ALL_FAILED, *run.messages]
    else:
        title, messages = "Partial Success" if run.counts and run.counts.failed else "Success", run.messages
    found: dict[str, list[bytes]] = {kind: [] for kind in _LISTS}
    for part in select_outcome(tx, run.run_id):
        found[part.outcome].append(part.items[1:-1])
    lists = {_LISTS[kind]: Raw(b"[%b]" % b",".join(parts)) for kind, parts in found.items()}
    counts = {kind: getattr(run.counts or OutcomeCounts(), kind) for kind in _LISTS}
    return _reply(run, title, messages, {**lists, "counts": counts})


def accepted_reply(run: Run) -> dict[str, Any]:
    """The reply to a run that is not finished."""
    return _reply(run, "Accepted", [RUN_ACCEPTED], {})


def _reply(run: Run, title: str, messages: list[str], more: dict[str, Any]) -> dict[str, Any]:
    request_id = run.input.concurrency_request_id if isinstance(run.input, Batch) else None
    return {
        "responseId": uuid5(run.run_id, title),
        "isSuccessful": not run.all_failed,
        "responseTitle": title,
        "responseType": title.replace(" ", ""),
        "messages": messages,
        "data": {"concurrencyRequestId": request_id, "runId": run.run_id, **more},
    }
