"""Which moment does a page show, and how is another one chosen?"""

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from urllib.parse import urlencode

from msgspec import Struct

from api.console.form_values import read_number
from api.http.as_of import NOW, AsOf, require_one, resolve
from api.http.problems import validation_error
from api.service import Service
from api.validation.field_errors import InvalidField
from api.validation.times import NOT_A_TIME, read_time
from domain.store.commit import current_head
from domain.values import EPOCH, utc_text

AS_OF, AS_OF_POSITION = "asOf", "asOfPosition"
_INPUT = "%Y-%m-%dT%H:%M:%S"


class ViewedState(Struct, frozen=True):
    """`position`: the last event that is seen; `recorded_at`: of its commit; `at`: the time at which windows are judged. `newest`:
    the last event that there is."""

    as_of: AsOf
    position: int
    recorded_at: datetime | None
    evaluated_at: datetime
    newest_position: int

    @property
    def is_past(self) -> bool:
        return not self.as_of.is_now

    @property
    def params(self) -> dict[str, str]:
        """What a link to the same moment says."""
        if self.as_of.time is not None:
            return {AS_OF: utc_text(self.as_of.time)}
        return {} if self.as_of.position is None else {AS_OF_POSITION: str(self.as_of.position)}

    @property
    def input_value(self) -> str:
        """As a field for a date and a time has it, which knows no parts of seconds: of the first one that shows all of it."""
        return input_value(_whole_second(self.as_of.time or self.evaluated_at))


def viewed_state(service: Service, query: Mapping[str, str]) -> ViewedState:
    """What is not past is the present, whatever was asked for. Raises Problem 422."""
    wanted = _asked(query)
    with service.ledger.read() as tx:
        newest, now = current_head(tx).position, service.ledger.now(tx)
        if (wanted.position or 0) > newest or (wanted.time or EPOCH) > now:
            wanted = NOW
        then = resolve(service.ledger, tx, wanted)
    return ViewedState(wanted, then.head.position, then.head.recorded_at, then.evaluated_at, newest)


def _asked(query: Mapping[str, str]) -> AsOf:
    time, position = query.get(AS_OF, "").strip(), read_number(query, AS_OF_POSITION)
    require_one(time or None, position)
    return AsOf(parse_time_field(time, AS_OF) if time else None, position)


def parse_time_field(text: str, name: str) -> datetime:
    """A time, also as a field of a form sends it, which means UTC here. Raises Problem 422."""
    try:
        return read_time(_completed(text))
    except ValueError:
        raise validation_error([InvalidField(("query", name), NOT_A_TIME)]) from None


def _completed(text: str) -> str:
    if len(text) == len("2026-01-31"):
        return f"{text}T00:00:00Z"
    seconds = ":00" if len(text) == len("2026-01-31T12:30") else ""
    is_local = not text.upper().endswith("Z") and "+" not in text and text.count("-") == 2  # noqa: PLR2004 - of the date
    return f"{text}{seconds}Z" if is_local else text


def _whole_second(moment: datetime) -> datetime:
    """Which ends it."""
    return moment if moment.microsecond == 0 else moment.replace(microsecond=0) + timedelta(seconds=1)


def input_value(moment: datetime) -> str:
    """As a field for a date and a time has it."""
    return moment.strftime(_INPUT)


def link(path: str, *params: Mapping[str, object]) -> str:
    """With those parameters that say something; later ones win."""
    told: dict[str, str] = {}
    for some in params:
        told |= {name: "" if value is None else str(value) for name, value in some.items()}
    query = urlencode({name: value for name, value in told.items() if value})
    return f"{path}?{query}" if query else path


def evenly_spaced_times(first: datetime, last: datetime, count: int) -> Iterator[datetime]:
    """So many moments between the two, both among them."""
    step = (last - first) / (count - 1) if last > first > EPOCH else timedelta()
    return (last if number == count - 1 else first + step * number for number in range(count))
