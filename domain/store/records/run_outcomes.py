"""Outcomes of the items of a run, stored in compressed parts instead of one row per item."""

from collections.abc import Iterator
from itertools import islice
from uuid import UUID

import msgspec
from msgspec import Struct

from domain.runs.run import OUTCOMES, ItemOutcome, Outcome
from domain.store.cursor import Cursor
from domain.store.records.compression import compress, decompress

ITEMS_PER_PART = 5_000


class OutcomePart(Struct, frozen=True):
    """Items with the same outcome. `first_item` counts from 0 over all items of the run. `items` is a JSON array."""

    outcome: str
    first_item: int
    item_count: int
    items: bytes


def insert_outcome(tx: Cursor, run_id: UUID, outcome: Outcome) -> None:
    """Stores the outcome of a stored run."""
    tx.executemany(
        "INSERT INTO run_outcomes SELECT run_seq, ?, ?, ?, ? FROM runs WHERE run_id = ?",
        (
            (part.first_item, part.item_count, part.outcome, compress(part.items), str(run_id))
            for part in _parts(outcome)
        ),
    )


def select_outcome(tx: Cursor, run_id: UUID, kind: str | None = None, after: int = 0) -> Iterator[OutcomePart]:
    """Yields the parts of a run's outcome, of one kind or of all, starting with the part that contains item `after`."""
    for row in tx.execute(_SELECT, (str(run_id), after, kind)):
        yield OutcomePart(row["outcome"], row["first_item"], row["item_count"], decompress(row["items"]))


def next_packed_outcome(tx: Cursor, run_id: UUID, kind: str | None, after: int) -> OutcomePart | None:
    """Returns the first part that `select_outcome` yields, with its items still compressed."""
    row = tx.execute(f"{_SELECT} LIMIT 1", (str(run_id), after, kind)).fetchone()
    return row and OutcomePart(row["outcome"], row["first_item"], row["item_count"], bytes(row["items"]))


_SELECT = (
    "SELECT outcome, first_item, item_count, items FROM run_outcomes"
    " WHERE run_seq = (SELECT run_seq FROM runs WHERE run_id = ?) AND first_item + item_count > ?"
    " AND outcome = coalesce(?, outcome) ORDER BY first_item"
)


def _parts(outcome: Outcome) -> Iterator[OutcomePart]:
    first_item = 0
    for kind in OUTCOMES:
        items: Iterator[ItemOutcome] = iter(getattr(outcome, kind))
        while part := list(islice(items, ITEMS_PER_PART)):
            yield OutcomePart(kind, first_item, len(part), msgspec.json.encode(part))
            first_item += len(part)
