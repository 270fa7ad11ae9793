"""Times in requests: RFC 3339, with a UTC offset."""

import re
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

NOT_A_TIME = "must be an RFC 3339 time with a UTC offset, in the years 1970 to 9999"
_RFC_3339 = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt]([01][0-9]|2[0-3]):[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?([Zz]|[+-]([01][0-9]|2[0-3]):[0-5][0-9])"
)
_EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)


def read_time(text: Any) -> datetime:
    """Parses a time. Returns it in UTC, to the microsecond. Raises ValueError."""
    if not isinstance(text, str) or not _RFC_3339.fullmatch(text):
        raise ValueError(NOT_A_TIME)
    time = datetime.fromisoformat(text.upper())
    try:
        time = time.astimezone(UTC)
    except OverflowError:
        raise ValueError(NOT_A_TIME) from None
    if time < _EARLIEST:
        raise ValueError(NOT_A_TIME)
    return time


def _require_time(text: str) -> str:
    try:
        read_time(text)
    except ValueError:
        raise PydanticCustomError("time", NOT_A_TIME) from None
    return text


Time = Annotated[str, AfterValidator(_require_time), Field(json_schema_extra={"format": "date-time"})]
"""A validated time, still as sent; `read_time` parses it."""
