"""The description of a projection, which every module with a projection exports as `PROJECTION`."""

from collections.abc import Callable, Sequence
from itertools import accumulate, takewhile
from typing import Any

import msgspec
from msgspec import Struct

from domain.events import Event
from domain.ledgers.ledger import CommitKinds, Entry
from domain.store.cursor import Cursor

MAX_PAGE_BYTES = 8 * 1024 * 1024
"""A page ends before its contents exceed this size. Contents, images above all, are stored once but sent with every
item. A larger item has a page of its own."""


def number_that_fits(items: Sequence[Any]) -> int:
    """Returns how many of the first items fit into a page, as JSON. The first one always does."""
    sizes = accumulate(len(msgspec.json.encode(item)) for item in items)
    return max(1, sum(1 for _ in takewhile(lambda size: size <= MAX_PAGE_BYTES, sizes)))


class Projection(Struct, frozen=True):
    """A table, its indexes, and the functions that keep it up to date.

    The functions run in the transaction of the events, in ledger order, and accept any sequence of entries. In their
    SQL, the name of a projection always means its table: a rebuild replaces it by the name of the shadow table. So no
    column, alias or literal has the name of a projection.
    """

    name: str
    key: tuple[str, ...]
    """The columns that identify a row."""
    table: str
    """The CREATE TABLE statement of the table called `name`."""
    events: frozenset[type[Event]]
    """The types of event that change it. Its functions are not called if none of these occurs."""
    apply: Callable[[Cursor, Sequence[Entry]], None] | None = None
    """Applies entries of commits that have no position yet. Further entries of a commit may follow in later calls."""
    replay: Callable[[], Callable[[Cursor, Sequence[Entry]], None]] | None = None
    """Returns a function that replaces `apply` in one replay, which starts with an empty table. It gets all entries in
    ledger order, and nothing else writes to the table. So it may remember rows that it has written."""
    gather: Callable[[Cursor, CommitKinds], Sequence[Sequence[Any]]] | None = None
    """Collects the rows for `seal`, once all projections have applied the commits. Runs before the ledger lock is
    taken."""
    seal: Callable[[Cursor, Sequence[Sequence[Any]]], None] | None = None
    """Writes the gathered rows, once the commits have their positions. All writers wait for it, so it must be short."""
    reads: tuple[str, ...] = ()
    """Other projections that its functions read. They precede it in `PROJECTIONS`, and the columns it reads never
    change."""
    indexes: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    """Columns that help people to recognise a row in a report of differences."""
