"""What was given on the command line?"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from uuid import UUID

import typer

from api.cli.output import fail
from api.export.files import ThereAlready
from api.http.as_of import Asked
from api.http.pagination import InvalidCursor
from api.http.query_params import MAX_DIGITS
from api.validation.times import NOT_A_TIME, read_time


def a_time(text: str) -> datetime:
    """For an option; RFC 3339."""
    try:
        return read_time(text)
    except ValueError:
        raise typer.BadParameter(NOT_A_TIME) from None


def a_state(text: str) -> Asked:
    """For an option: a recorded time or a position."""
    if text.isascii() and text.isdigit() and len(text) <= MAX_DIGITS:
        return Asked(position=int(text))
    try:
        return Asked(as_of=read_time(text))
    except ValueError:
        raise typer.BadParameter(f"{NOT_A_TIME}, or a position") from None


def a_uid(text: str) -> UUID:
    """For an option."""
    try:
        return UUID(text)
    except ValueError:
        raise typer.BadParameter("must be a UUID") from None


@contextmanager
def a_file_to_make(out: object, option: str = "--out") -> Iterator[None]:
    """Ends the command if what the option names is there, or can't be written."""
    try:
        yield
    except ThereAlready as there:
        fail(f"{option}: {there} is there already.")
    except (OSError, sqlite3.Error) as error:
        fail(f"{option}: {out} can't be written: {getattr(error, 'strerror', None) or error}.")


@contextmanager
def a_cursor_of_this_list() -> Iterator[None]:
    """Ends the command if the cursor that was given is of another one."""
    try:
        yield
    except InvalidCursor:
        fail("--cursor: is not a cursor that this list gave with these filters.", exit_code=2)
