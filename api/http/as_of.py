"""Which state of the ledger is asked for? The present one, or that as of a recorded time or a position."""

from datetime import datetime
from typing import NamedTuple

from api.http.problems import validation_error
from api.validation.field_errors import Complaint
from api.validation.times import read_time
from domain.store.commit import Head, head_at, head_at_position, head_of
from domain.store.cursor import Cursor


class Asked(NamedTuple):
    """The state that is asked for: of one of the two, or the present one."""

    as_of: datetime | None = None
    position: int | None = None


PRESENT = Asked()


def asked(time: str | None, position: int | None, names: tuple[str, str] = ("asOf", "asOfPosition")) -> Asked:
    """By two parameters with these names. Raises Problem 422 if both are given."""
    require_one(time, position, names)
    return Asked(read_time(time) if time else None, position)


def require_one(time: str | None, position: int | None, names: tuple[str, str] = ("asOf", "asOfPosition")) -> None:
    """Raises Problem 422 if both are given."""
    if time is not None and position is not None:
        raise validation_error([Complaint(("query", names[1]), f"must not be given beside {names[0]}")])


def head_of_state(tx: Cursor, asked: Asked) -> Head:
    """The newest commit of a state. A time or a position beyond the newest commit means that commit."""
    if asked.as_of is not None:
        return head_at(tx, asked.as_of)
    return head_of(tx) if asked.position is None else head_at_position(tx, asked.position)
