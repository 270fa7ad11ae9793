"""The state that a page shows: now, or as of a time or a position. Parses it, and keeps it in links and form fields."""

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from urllib.parse import urlencode

from msgspec import Struct

from api.console.form_values import read_number
from api.http.as_of import NOW, AsOf, commits_around, reached, require_one, resolve
from api.http.problems import validation_error
from api.service import Service
from api.validation.field_errors import InvalidField
from api.validation.times import NOT_A_TIME, read_typed_time
from domain.store.commit import CommitSpan, commit_around, current_head
from domain.values import EPOCH, utc_text

AS_OF, AS_OF_POSITION = "asOf", "asOfPosition"
MOVED_FROM = "movedFrom"
"""The parameter in which the slider sends the position that it was moved from."""
_INPUT = "%Y-%m-%dT%H:%M:%S"


class ViewedState(Struct, frozen=True):
    """The state that a page shows.

    `position` is its last event, `recorded_at` the recorded time of that event's commit, and `evaluated_at` the time at
    which redemption windows are evaluated. `newest_position` is the last event of the ledger. `inside` is the commit
    that the position is inside of, if it is not the last position of one."""

    as_of: AsOf
    position: int
    recorded_at: datetime | None
    evaluated_at: datetime
    newest_position: int
    inside: CommitSpan | None = None

    @property
    def is_past(self) -> bool:
        return not self.as_of.is_now

    @property
    def params(self) -> dict[str, str]:
        """The query parameters of a link to the same state; empty for now."""
        if self.as_of.time is not None:
            return {AS_OF: utc_text(self.as_of.time)}
        return {} if self.as_of.position is None else {AS_OF_POSITION: str(self.as_of.position)}

    @property
    def input_value(self) -> str:
        """The value of a datetime-local field that selects this state.

        The field has no fractions of a second. The time is rounded up, because rounding down would hide events."""
        shown = self.as_of.time or max(self.evaluated_at, self.recorded_at or EPOCH)
        return input_value(_round_up_to_second(shown))


def viewed_state(service: Service, query: Mapping[str, str]) -> ViewedState:
    """Returns the requested state; a time that is at most 5 minutes ahead means now. Raises Problem 422."""
    as_of = _requested(query)
    with service.ledger.read() as tx:
        newest = current_head(tx).position
        if reached(service.ledger, tx, as_of) != as_of:
            as_of = NOW
        state = resolve(service.ledger, tx, as_of)
        inside = next(iter(commits_around(tx, as_of)), None)
    return ViewedState(as_of, state.head.position, state.head.recorded_at, state.evaluated_at, newest, inside)


def moved_slider(service: Service, query: Mapping[str, str]) -> dict[str, str] | None:
    """Returns the parameters of the state that the slider was moved to; None if the request is not from the slider.

    The slider has positions but moves by commits. A position inside a commit means the end of the commit if the slider was
    moved forward, and the state before the commit if it was moved back. A position after the newest one means now.
    Raises Problem 422."""
    start = read_number(query, MOVED_FROM)
    if start is None:
        return None
    position = read_number(query, AS_OF_POSITION)
    with service.ledger.read() as tx:
        if position is None or position > current_head(tx).position:
            return {AS_OF_POSITION: ""}
        span = commit_around(tx, position)
    if span:
        position = span.first - 1 if position < start else span.last
    return {AS_OF_POSITION: str(position)}


def _requested(query: Mapping[str, str]) -> AsOf:
    time, position = query.get(AS_OF, "").strip(), read_number(query, AS_OF_POSITION)
    require_one(time or None, position)
    return AsOf(parse_time_field(time, AS_OF) if time else None, position)


def parse_time_field(text: str, name: str) -> datetime:
    """Parses an RFC 3339 time, a date, or the value of a datetime-local field. Without an offset, it is UTC.

    Raises Problem 422."""
    try:
        return read_typed_time(text)
    except ValueError:
        raise validation_error([InvalidField(("query", name), NOT_A_TIME)]) from None


def _round_up_to_second(time: datetime) -> datetime:
    return time if time.microsecond == 0 else time.replace(microsecond=0) + timedelta(seconds=1)


def input_value(time: datetime) -> str:
    """Returns the time as the value of a datetime-local field."""
    return time.strftime(_INPUT)


def link(path: str, *params: Mapping[str, object]) -> str:
    """Returns the path with these parameters. Later parameters replace earlier ones; empty ones are left out."""
    merged: dict[str, str] = {}
    for group in params:
        merged |= {name: "" if value is None else str(value) for name, value in group.items()}
    query = urlencode({name: value for name, value in merged.items() if value})
    return f"{path}?{query}" if query else path


def evenly_spaced_times(first: datetime, last: datetime, count: int) -> Iterator[datetime]:
    """Yields `count` times from `first` to `last`, both included."""
    step = (last - first) / (count - 1) if last > first > EPOCH else timedelta()
    return (last if number == count - 1 else first + step * number for number in range(count))
