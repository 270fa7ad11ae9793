"""The requested state of the ledger: now, or as of a recorded time or a position. Parses it and resolves it.

Everything that reads past states starts here, over HTTP, in the console and on the command line. The words are those of
`docs/concepts.md`: a request names an `AsOf`, it resolves to a `LedgerHead` (the newest commit of that state), and a
`LedgerState` adds the time at which redemption windows are evaluated.
"""

from datetime import datetime
from typing import NamedTuple

from api.http.problems import validation_error
from api.validation.field_errors import InvalidField
from api.validation.times import read_time
from domain.ledgers.ledger import LedgerReader
from domain.store.commit import LedgerHead, current_head, head_at_position, head_at_time
from domain.store.cursor import Cursor
from domain.values import EPOCH
from projections.offers.inventory_as_of import LedgerState

PARAMETERS = ("asOf", "asOfPosition")


class AsOf(NamedTuple):
    """A requested state: as of a recorded time, as of a position, or, without either, now."""

    time: datetime | None = None
    position: int | None = None

    @property
    def is_now(self) -> bool:
        return self.time is None and self.position is None


NOW = AsOf()


def parse_as_of(time: str | None, position: int | None, names: tuple[str, str] = PARAMETERS) -> AsOf:
    """Parses two parameters with these names. Raises Problem 422 if both are given."""
    require_one(time, position, names)
    return AsOf(read_time(time) if time else None, position)


def require_one(time: str | None, position: int | None, names: tuple[str, str] = PARAMETERS) -> None:
    """Raises Problem 422 if both are given."""
    if time is not None and position is not None:
        raise validation_error([InvalidField(("query", names[1]), f"must not be combined with {names[0]}")])


def resolve_head(tx: Cursor, as_of: AsOf) -> LedgerHead:
    """Returns the newest commit of a state. A time or a position after the newest commit means that commit."""
    if as_of.time is not None:
        return head_at_time(tx, as_of.time)
    return current_head(tx) if as_of.position is None else head_at_position(tx, as_of.position)


def resolve(ledger: LedgerReader, tx: Cursor, as_of: AsOf) -> LedgerState:
    """Returns the state, and the time at which its redemption windows are evaluated: the requested time but never later
    than `latest_time`, or the recorded time of the position's commit."""
    head = resolve_head(tx, as_of)
    if as_of.is_now:
        return LedgerState(head, ledger.now(tx))
    return LedgerState(head, min(as_of.time, latest_time(ledger, tx)) if as_of.time else head.recorded_at or EPOCH)


def latest_time(ledger: LedgerReader, tx: Cursor) -> datetime:
    """Returns the latest time that has a state: now, or the newest recorded time while it is ahead of the clock."""
    return max(ledger.now(tx), current_head(tx).recorded_at or EPOCH)
