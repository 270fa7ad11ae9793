"""What became of each offer of a run? Kept in packed parts, not in a row per offer."""

from collections.abc import Iterator
from itertools import islice
from uuid import UUID

import msgspec
from msgspec import Struct

from domain.runs.run import OUTCOMES, ItemOutcome, Outcome
from domain.store.cursor import Cursor
from domain.store.records.compression import pack, unpack

ITEMS_PER_PART = 5_000


class OutcomePart(Struct, frozen=True):
    """Some items with the same outcome; `first_item` counts from 0 over all items of the run. `items` is a JSON array."""

    outcome: str
    first_item: int
    item_count: int
    items: bytes


def insert_outcome(tx: Cursor, run_id: UUID, outcome: Outcome) -> None:
    """For a run that is stored."""
    tx.executemany(
        "INSERT INTO run_outcomes SELECT run_seq, ?, ?, ?, ? FROM runs WHERE run_id = ?",
        ((part.first_item, part.item_count, part.outcome, pack(part.items), str(run_id)) for part in _parts(outcome)),
    )


def select_outcome(tx: Cursor, run_id: UUID, kind: str | None = None, after: int = 0) -> Iterator[OutcomePart]:
    """The parts of a run's outcome, those of one kind or all, from the one on that holds item `after`."""
    rows = tx.execute(
        "SELECT outcome, first_item, item_count, items FROM run_outcomes"
        " WHERE run_seq = (SELECT run_seq FROM runs WHERE run_id = ?) AND first_item + item_count > ?"
        " AND outcome = coalesce(?, outcome) ORDER BY first_item",
        (str(run_id), after, kind),
    )
    for row in rows:
        yield OutcomePart(row["outcome"], row["first_item"], row["item_count"], unpack(row["items"]))


def _parts(outcome: Outcome) -> Iterator[OutcomePart]:
    first_item = 0
    for kind in OUTCOMES:
        items: Iterator[ItemOutcome] = iter(getattr(outcome, kind))
        while some := list(islice(items, ITEMS_PER_PART)):
            yield OutcomePart(kind, first_item, len(some), msgspec.json.encode(some))
            first_item += len(some)
