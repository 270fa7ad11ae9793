"""What is a projection made of?"""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from msgspec import Struct

from domain.events import Event
from domain.ledgers.ledger import CommitKinds, Entry
from domain.store.cursor import Cursor

MAX_PAGE_BYTES = 16 * 1024 * 1024
"""A page that has reached this ends: contents are stored once, images above all, but each reader gets all of them."""


def in_batches(entries: Sequence[Entry]) -> list[list[Entry]]:
    """In each round no two are of the same stream, so it makes no difference which comes first; the rounds follow each other."""
    if len({entry.stream_id for entry in entries}) == len(entries):
        return [list(entries)] if entries else []  # as in nearly every batch
    rounds: list[list[Entry]] = []
    seen = Counter[int]()
    for entry in entries:
        if seen[entry.stream_id] == len(rounds):
            rounds.append([])
        rounds[seen[entry.stream_id]].append(entry)
        seen[entry.stream_id] += 1
    return rounds


class Projection(Struct, frozen=True):
    """A table that answers one question, and how entries change it.

    All ways to change it are called in the order of the ledger, in the transaction of the events, and accept any sequence
    of them. Their statements name projections where they mean their tables, and nowhere else: no column, no other name and no
    text of theirs is called so.
    """

    name: str
    key: tuple[str, ...]
    """The columns that tell its rows apart."""
    table: str
    """The CREATE TABLE statement of the table called `name`."""
    events: frozenset[type[Event]]
    """Those that change it: where there is none of them, it is left in peace."""
    apply: Callable[[Cursor, Sequence[Entry]], None] | None = None
    """Gets some of the entries of a commit, before it has its place."""
    gather: Callable[[Cursor, CommitKinds], Sequence[Sequence[Any]]] | None = None
    """Tells what `seal` needs of commits whose entries all projections have, for what depends on the commits before."""
    seal: Callable[[Cursor, Sequence[Sequence[Any]]], None] | None = None
    """Gets what was gathered when the commits have their places. Everybody who writes waits for it."""
    reads: tuple[str, ...] = ()
    """The tables of other projections, which stand before it, of which it reads what never changes once it is written."""
    indexes: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    """The columns by which people know a row."""
