"""Reads times and states in the forms that the command line accepts."""

from datetime import datetime

import typer
from pydantic import ValidationError

from api.http.as_of import NOW, AsOf
from api.http.query_params import MAX_DIGITS
from api.settings import Settings
from api.validation.field_errors import field_errors
from api.validation.times import read_typed_time
from api.wiring import utc_now

NOT_A_COMMAND_TIME = (
    "must be a time from 1970 to 9999: RFC 3339 such as 2026-11-30T09:00:00Z, a date such as 2026-11-30"
    " (its first instant, UTC), 2026-11-30T09:00 without an offset (UTC), or now"
)


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
        return read_typed_time(text)
    except ValueError:
        raise typer.BadParameter(NOT_A_COMMAND_TIME) from None


def state_of(text: str) -> AsOf:
    """Returns the state of a time or a position. Raises typer.BadParameter."""
    if is_now(text):
        return NOW
    if text.isascii() and text.isdigit() and len(text) <= MAX_DIGITS:
        return AsOf(position=int(text))
    try:
        return AsOf(time=read_typed_time(text))
    except ValueError:
        raise typer.BadParameter(f"{NOT_A_COMMAND_TIME}; or a position such as 13") from None
