"""Reads what is stored for runs beside their rows, reduced to numbers and digests: bodies, outcomes and commits."""

import hashlib
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from typing import Any

import msgspec
from msgspec import Struct, field

from domain.events import OfferCreated, OfferDeleted, OfferPaused, OfferRestored, OfferResumed, OfferUpdated
from domain.runs.run import OUTCOMES, ItemOutcome, Run, Undo
from domain.runs.undo import OUTCOME_BY_FIRST_EVENT
from domain.store.cursor import Cursor
from domain.store.records.compression import ZstdError, decompress
from domain.values import Channel

UNREADABLE_VALUES = (ZstdError, msgspec.MsgspecError, ValueError, TypeError, OverflowError)
"""Errors of a stored value that is not what the service stores."""
_SUM_LIMIT = 1 << 64


class StoredBody(Struct):
    """The chunks of a body. `is_complete` is false if one is missing or cannot be read."""

    digest: str
    size: int
    is_complete: bool


def stored_bodies(tx: Cursor) -> dict[str, StoredBody]:
    """Returns the bodies by run id. Only unfinished runs and unfinished uploads have one."""
    bodies: dict[str, StoredBody] = {}
    digests: dict[str, Any] = {}
    chunks = Counter[str]()
    for row in tx.stream_rows("SELECT run_id, chunk, bytes FROM run_bodies ORDER BY run_id, chunk"):
        body = bodies.setdefault(row["run_id"], StoredBody("", 0, is_complete=True))
        digest = digests.setdefault(row["run_id"], hashlib.sha256())
        body.is_complete = body.is_complete and row["chunk"] == chunks[row["run_id"]]
        chunks[row["run_id"]] += 1
        try:
            plain = decompress(row["bytes"])
        except UNREADABLE_VALUES:
            body.is_complete = False
            continue
        digest.update(plain)
        body.size += len(plain)
        body.digest = digest.hexdigest()
    return bodies


class StoredOutcome(Struct):
    """Counts by outcome. `changed` is a sum over the ids of changed offers, in any order. `error` is the first contradiction."""

    counts: Counter[str] = field(default_factory=Counter)
    changed: int = 0
    items: int = 0
    last_kind: int = 0
    error: str = ""

    def add(self, row: Any) -> None:
        """Adds a row of `run_outcomes`. The rows of a run arrive by ascending `first_item`."""
        kind = row["outcome"]
        if kind not in OUTCOMES or OUTCOMES.index(kind) < self.last_kind:
            self.error = self.error or f"outcome {kind} at item {row['first_item']}"
            return
        items = _DECODER.decode(decompress(row["items"]))
        if row["first_item"] != self.items or row["item_count"] != len(items):
            self.error = self.error or f"{len(items)} items at item {row['first_item']}"
        self.last_kind = OUTCOMES.index(kind)
        self.items += len(items)
        self.counts[kind] += len(items)
        if kind in CHANGING:
            self.changed += sum(hash((kind, item.merchant_id, item.external_id)) for item in items)
            self.changed %= _SUM_LIMIT


_DECODER = msgspec.json.Decoder(list[ItemOutcome])
CHANGING = ("created", "updated", "restored", "paused", "deleted")


def stored_outcomes(tx: Cursor, first_seq: int, last_seq: int) -> dict[int, StoredOutcome]:
    """Returns the outcomes of runs by `run_seq`."""
    outcomes: dict[int, StoredOutcome] = {}
    for row in tx.stream_rows(
        "SELECT run_seq, first_item, item_count, outcome, items FROM run_outcomes"
        " WHERE run_seq >= ? AND run_seq <= ? ORDER BY run_seq, first_item",
        (first_seq, last_seq),
    ):
        outcome = outcomes.setdefault(row["run_seq"], StoredOutcome())
        try:
            outcome.add(row)
        except UNREADABLE_VALUES as error:
            outcome.error = outcome.error or str(error)
    return outcomes


class RecordedChanges(Struct):
    """The changes of a run's commit: counts by outcome, and the sum over the ids as in StoredOutcome."""

    counts: Counter[str] = field(default_factory=Counter)
    changed: int = 0


def recorded_changes(tx: Cursor, commit_id: int, run: Run) -> RecordedChanges:
    """Returns what the events of a commit say about its run. The first event of an offer decides."""
    kinds, changes, last_stream = _kinds_of(run), RecordedChanges(), None
    for row in tx.stream_rows(
        "SELECT e.stream_id, e.topic, i.merchant_id, i.external_id FROM events e"
        " LEFT JOIN inventory i ON i.offer_id = e.stream_id WHERE e.commit_id = ? ORDER BY e.ordinal",
        (commit_id,),
    ):
        stream_id, topic, merchant_id, external_id = row
        if stream_id != last_stream:
            kind, last_stream = kinds.get(topic, ""), stream_id
            changes.counts[kind] += 1
            changes.changed += hash((kind, merchant_id, external_id))
    changes.changed %= _SUM_LIMIT
    return changes


_MERCHANT_KINDS = {
    OfferCreated.TOPIC: "created",
    OfferUpdated.TOPIC: "updated",
    OfferPaused.TOPIC: "updated",
    OfferResumed.TOPIC: "updated",
    OfferRestored.TOPIC: "restored",
    OfferDeleted.TOPIC: "deleted",
}
# A batch reports a restored offer as updated.
_BATCH_KINDS = _MERCHANT_KINDS | {OfferPaused.TOPIC: "paused", OfferRestored.TOPIC: "updated"}
_UNDO_KINDS = {kind.TOPIC: outcome for kind, outcome in OUTCOME_BY_FIRST_EVENT.items()}


def _kinds_of(run: Run) -> Mapping[str, str]:
    """Returns the outcomes by the topic of the first event."""
    if isinstance(run.input, Undo):
        return _UNDO_KINDS
    return _BATCH_KINDS if run.channel is Channel.CUSTOM else _MERCHANT_KINDS


def commits_of_runs(tx: Cursor, run_ids: Collection[str]) -> dict[str, list[Any]]:
    """Returns the commits by run id."""
    condition, values = tx.dialect.in_list(run_ids)
    commits: dict[str, list[Any]] = {}
    for row in _commit_rows(tx, condition, values):
        commits.setdefault(row["run_id"], []).append(row)
    return commits


def _commit_rows(tx: Cursor, condition: str, values: Any) -> Iterator[Any]:
    return iter(
        tx.execute(
            "SELECT commit_id, run_id, partner, actor, source, traceparent, reason, first_position, event_count"
            f" FROM commits WHERE run_id {condition}",
            values,
        )
    )
