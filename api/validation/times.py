"""Times in requests: RFC 3339 with a UTC offset; and the shorter forms that people type."""

import calendar
import re
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

NOT_A_TIME = "must be an RFC 3339 time with a UTC offset, in the years 1970 to 9999"
_RFC_3339 = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2}[Tt]([01][0-9]|2[0-3]):[0-9]{2}:)(?P<second>[0-9]{2})"
    r"(?P<fraction>\.[0-9]{1,6})?(?(fraction)[0-9]*)(?P<offset>[Zz]|[+-]([01][0-9]|2[0-3]):[0-5][0-9])"
)
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_WITHOUT_OFFSET = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2})[Tt ]([0-9]{2}:[0-9]{2})(:[0-9]{2}(?:\.[0-9]+)?)?")
_EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
_LEAP_SECOND = "60"


def read_time(text: Any) -> datetime:
    """Parses a time. Returns it in UTC, to the microsecond. Raises ValueError.

    Python has no leap seconds. Each of them counts as the last microsecond before it, so that it is on the same day."""
    match = _RFC_3339.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        raise ValueError(NOT_A_TIME)
    is_leap_second = match["second"] == _LEAP_SECOND
    second = "59.999999" if is_leap_second else match["second"] + (match["fraction"] or "")
    try:
        time = datetime.fromisoformat(f"{match[1]}{second}{match['offset']}".upper()).astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError(NOT_A_TIME) from None
    if time < _EARLIEST or (is_leap_second and not _ends_month(time)):
        raise ValueError(NOT_A_TIME)
    return time


def _ends_month(time: datetime) -> bool:
    """Returns whether a time is in the last minute of a month. Leap seconds occur only there."""
    last_day = calendar.monthrange(time.year, time.month)[1]
    return (time.day, time.hour, time.minute) == (last_day, 23, 59)


def read_typed_time(text: str) -> datetime:
    """Parses a time that a person types on the command line or in a form. Raises ValueError.

    A date means its first instant, and a time without an offset is in UTC."""
    if _DATE.fullmatch(text):
        text = f"{text}T00:00:00Z"
    elif match := _WITHOUT_OFFSET.fullmatch(text):
        date, minutes, seconds = match.groups()
        text = f"{date}T{minutes}{seconds or ':00'}Z"
    return read_time(text)


def _require_time(text: str) -> str:
    try:
        read_time(text)
    except ValueError:
        raise PydanticCustomError("time", NOT_A_TIME) from None
    return text


Time = Annotated[str, AfterValidator(_require_time), Field(json_schema_extra={"format": "date-time"})]
"""A validated time, still as sent; `read_time` parses it."""
