"""What was given on the command line?"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from uuid import UUID

import typer

from api.cli.output import exit_with_error
from api.export.files import OutputExists
from api.http.as_of import AsOf
from api.http.pagination import InvalidCursor
from api.http.query_params import MAX_DIGITS
from api.validation.times import NOT_A_TIME, read_time


def parse_time(text: str) -> datetime:
    """For an option; RFC 3339."""
    try:
        return read_time(text)
    except ValueError:
        raise typer.BadParameter(NOT_A_TIME) from None


def parse_state(text: str) -> AsOf:
    """For an option: a recorded time or a position."""
    if text.isascii() and text.isdigit() and len(text) <= MAX_DIGITS:
        return AsOf(position=int(text))
    try:
        return AsOf(time=read_time(text))
    except ValueError:
        raise typer.BadParameter(f"{NOT_A_TIME}, or a position") from None


def parse_uid(text: str) -> UUID:
    """For an option."""
    try:
        return UUID(text)
    except ValueError:
        raise typer.BadParameter("must be a UUID") from None


@contextmanager
def parse_new_file(out: object, option: str = "--out") -> Iterator[None]:
    """Ends the command if what the option names is there, or can't be written."""
    try:
        yield
    except OutputExists as there:
        exit_with_error(f"{option}: {there} is there already.")
    except (OSError, sqlite3.Error) as error:
        exit_with_error(f"{option}: {out} can't be written: {getattr(error, 'strerror', None) or error}.")


@contextmanager
def cursor_errors() -> Iterator[None]:
    """Ends the command if the cursor that was given is of another one."""
    try:
        yield
    except InvalidCursor:
        exit_with_error("--cursor: is not a cursor that this list gave with these filters.", exit_code=2)
