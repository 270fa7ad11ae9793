"""The requested state of the ledger: now, or as of a recorded time or a position. Parses it and resolves it.

Everything that reads past states starts here, over HTTP, in the console and on the command line. The words are those of
`docs/concepts.md`. A request names an `AsOf`. It resolves to a `LedgerHead`, the newest commit of that state. A
`LedgerState` adds the time at which redemption windows are evaluated.
"""

from datetime import datetime, timedelta
from typing import NamedTuple

from fastapi import Request

from api.http.problems import validation_error
from api.http.request_state import request_state
from api.validation.field_errors import InvalidField
from api.validation.times import read_time
from domain.ledgers.ledger import LedgerReader
from domain.store.commit import CommitSpan, LedgerHead, commit_around, current_head, head_at_position, head_at_time
from domain.store.cursor import Cursor
from domain.values import EPOCH
from projections.offers.inventory_as_of import LedgerState

PARAMETERS = ("asOf", "asOfPosition")
MOST_AHEAD = timedelta(minutes=5)
"""A client's clock may be ahead of this server's clock by this much."""


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


def reached(ledger: LedgerReader, tx: Cursor, as_of: AsOf, names: tuple[str, str] = PARAMETERS) -> AsOf:
    """Returns the same state, with a time that is not later than `latest_time`.

    Raises Problem 422 for a state that the ledger has not reached: a position after the newest one, or a time too far
    ahead of both the clock and the newest commit. `names` are the parameters of the time and the position."""
    if as_of.position is not None:
        require_reached_position(tx, as_of.position, names[1])
    if as_of.time is None:
        return as_of
    latest = latest_time(ledger, tx)
    if as_of.time > latest + MOST_AHEAD:
        raise validation_error([InvalidField(("query", names[0]), "must not be over 5 minutes in the future")])
    return AsOf(min(as_of.time, latest))


def require_reached_position(tx: Cursor, position: int, name: str) -> None:
    """Raises Problem 422 for a position after the newest one. `name` is its parameter."""
    newest = current_head(tx).position
    if position > newest:
        message = f"must not be after the newest position, which is {newest}"
        raise validation_error([InvalidField(("query", name), message)])


def resolve_head(ledger: LedgerReader, tx: Cursor, as_of: AsOf, names: tuple[str, str] = PARAMETERS) -> LedgerHead:
    """Returns the newest commit of a state, or the position inside a commit. A time at or after the newest commit means
    that commit. Raises what `reached` raises."""
    return _head_of(tx, reached(ledger, tx, as_of, names))


def _head_of(tx: Cursor, as_of: AsOf) -> LedgerHead:
    if as_of.time is not None:
        return head_at_time(tx, as_of.time)
    return current_head(tx) if as_of.position is None else head_at_position(tx, as_of.position)


def resolve(ledger: LedgerReader, tx: Cursor, as_of: AsOf) -> LedgerState:
    """Returns the state, with the time at which its redemption windows are evaluated. Raises Problem 422.

    For a requested time, it is that time, but never later than `latest_time`. For a position, it is the recorded time of
    the position's commit."""
    as_of = reached(ledger, tx, as_of)
    head = _head_of(tx, as_of)
    if as_of.is_now:
        return LedgerState(head, ledger.now(tx))
    return LedgerState(head, as_of.time or head.recorded_at or EPOCH)


def latest_time(ledger: LedgerReader, tx: Cursor) -> datetime:
    """Returns the latest time that has a state: now, or the newest recorded time while it is ahead of the clock."""
    return max(ledger.now(tx), current_head(tx).recorded_at or EPOCH)


# Positions inside a commit


def commits_around(tx: Cursor, *states: AsOf) -> list[CommitSpan]:
    """Returns the commits that requested positions are inside of: such a state has a part of a commit only."""
    spans = (commit_around(tx, state.position) for state in states if state.position is not None)
    return [span for span in spans if span]


def set_inside_commits(request: Request, ledger: LedgerReader, *states: AsOf) -> None:
    """Sets the header `Ledger-Inside-Commit` of the reply, if a requested position is inside a commit."""
    if any(state.position is not None for state in states):
        with ledger.read() as tx:
            request_state(request).inside_commits = commits_around(tx, *states)
