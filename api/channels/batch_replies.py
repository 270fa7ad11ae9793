"""The replies to batches, as the batch document defines them.

A reply depends on the run's record only, so that a repeated request always gets the same reply. Once the run has been undone, the
reply also has `undoneBy`. The stored JSON of the items is copied into it verbatim.
"""

from collections.abc import Mapping
from typing import Any
from uuid import uuid5

from msgspec import Raw

from api.runs.replies.item_lists import list_of_items
from domain.runs.run import Batch, OutcomeCounts, Run
from domain.store.cursor import Cursor
from domain.store.records.run_outcomes import select_outcome

ALL_FAILED = "No offer of this batch is valid; nothing was changed."
RUN_ACCEPTED = "The batch has been accepted and is being processed"
LISTS = {
    "created": "createdOffers",
    "updated": "updatedOffers",
    "unchanged": "notChangedOffers",
    "paused": "pausedOffers",
    "failed": "failedOffers",
}
"""Outcomes of a batch, and the members of the reply with their offers."""


def finished_reply(tx: Cursor, run: Run) -> dict[str, Any]:
    """Returns the reply for a completed run."""
    items: dict[str, list[bytes]] = {kind: [] for kind in LISTS}
    for part in select_outcome(tx, run.run_id):
        items[part.outcome].append(part.items[1:-1])
    return _completed_reply(run, {kind: Raw(b"[%b]" % b",".join(parts)) for kind, parts in items.items()})


def finished_reply_without_items(run: Run) -> dict[str, Any]:
    """Returns the reply for a completed run, with placeholders for the lists of its items."""
    return _completed_reply(run, {kind: list_of_items(kind) for kind in LISTS})


def _completed_reply(run: Run, items: Mapping[str, Raw]) -> dict[str, Any]:
    if run.all_failed:
        title, messages = "All Items Failed", [ALL_FAILED, *run.messages]
    else:
        title, messages = "Partial Success" if run.counts and run.counts.failed else "Success", run.messages
    lists = {LISTS[kind]: raw for kind, raw in items.items()}
    counts = {kind: getattr(run.counts or OutcomeCounts(), kind) for kind in LISTS}
    return _reply(run, title, messages, {**lists, "counts": counts})


def accepted_reply(run: Run) -> dict[str, Any]:
    """Returns the reply for an unfinished run."""
    return _reply(run, "Accepted", [RUN_ACCEPTED], {name: [] for name in LISTS.values()})


def _reply(run: Run, title: str, messages: list[str], more: dict[str, Any]) -> dict[str, Any]:
    request_id = run.input.concurrency_request_id if isinstance(run.input, Batch) else None
    undone = {"undoneBy": run.undone_by} if run.undone_by else {}
    return {
        "responseId": uuid5(run.run_id, title),
        "isSuccessful": not run.all_failed,
        "responseTitle": title,
        "responseType": title.replace(" ", ""),
        "messages": messages,
        "data": {"concurrencyRequestId": request_id, "runId": run.run_id, **more, **undone},
    }
