"""What is a projection made of?"""

from collections.abc import Callable, Sequence

from msgspec import Struct

from domain.events import Event
from domain.ledger import Entry
from domain.store.cursor import Cursor

MAX_PAGE_BYTES = 16 * 1024 * 1024
"""A page that has reached this ends: contents are stored once, images above all, but each reader gets all of them."""


class Projection(Struct, frozen=True):
    """A table that answers one question, and how entries change it.

    `apply` gets entries in the order of the ledger, in a transaction, and accepts any sequence of them.
    """

    name: str
    key: tuple[str, ...]
    """The columns that tell its rows apart."""
    table: str
    """The CREATE TABLE statement of the table called `name`."""
    apply: Callable[[Cursor, Sequence[Entry]], None]
    events: frozenset[type[Event]]
    """Those that change it: where there is none of them, it is left in peace."""
    indexes: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    """The columns by which people know a row."""
