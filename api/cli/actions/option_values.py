"""Reads times and states in the forms that the command line accepts."""

import re
from datetime import datetime

import typer
from pydantic import ValidationError

from api.http.as_of import NOW, AsOf
from api.http.query_params import MAX_DIGITS
from api.settings import Settings
from api.validation.field_errors import field_errors
from api.validation.times import read_time
from api.wiring import utc_now

NOT_A_COMMAND_TIME = (
    "must be a time from 1970 to 9999: RFC 3339 such as 2026-11-30T09:00:00Z, a date such as 2026-11-30"
    " (its first instant, UTC), 2026-11-30T09:00 without an offset (UTC), or now"
)
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_WITHOUT_OFFSET = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2})[Tt ]([0-9]{2}:[0-9]{2})(:[0-9]{2}(?:\.[0-9]{1,9})?)?")


def require_valid_database() -> None:
    """Raises typer.BadParameter if the setting of the database is invalid. Other settings are not reported here."""
    try:
        Settings()
    except ValidationError as error:
        for wrong in field_errors(error):
            if wrong.path == "database_url":
                raise typer.BadParameter(wrong.message) from None


def is_now(text: str) -> bool:
    return text.lower() == "now"


def time_of(text: str) -> datetime:
    """Returns a time in UTC. Raises typer.BadParameter."""
    if is_now(text):
        return utc_now()
    try:
        return read_time(_as_rfc_3339(text))
    except ValueError:
        raise typer.BadParameter(NOT_A_COMMAND_TIME) from None


def state_of(text: str) -> AsOf:
    """Returns the state of a time or a position. Raises typer.BadParameter."""
    if is_now(text):
        return NOW
    if text.isascii() and text.isdigit() and len(text) <= MAX_DIGITS:
        return AsOf(position=int(text))
    try:
        return AsOf(time=read_time(_as_rfc_3339(text)))
    except ValueError:
        raise typer.BadParameter(f"{NOT_A_COMMAND_TIME}; or a position such as 13") from None


def _as_rfc_3339(text: str) -> str:
    """Completes a date to its first instant, and a time without an offset to UTC. Returns other texts as they are."""
    if _DATE.fullmatch(text):
        return f"{text}T00:00:00Z"
    if match := _WITHOUT_OFFSET.fullmatch(text):
        date, minutes, seconds = match.groups()
        return f"{date}T{minutes}{seconds or ':00'}Z"
    return text
