"""Parsers of option values: times, states, UUIDs, cursors and output files."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

import typer

from api.cli.output import exit_with_error
from api.export.files import OutputExists
from api.http.as_of import AsOf
from api.http.pagination import InvalidCursor
from api.http.query_params import MAX_DIGITS
from api.validation.times import NOT_A_TIME, read_time


def parse_time(text: str) -> datetime:
    """Parses an RFC 3339 time. Raises typer.BadParameter."""
    try:
        return read_time(text)
    except ValueError:
        raise typer.BadParameter(NOT_A_TIME) from None


def parse_state(text: str) -> AsOf:
    """Parses a recorded time or a position. Raises typer.BadParameter."""
    if text.isascii() and text.isdigit() and len(text) <= MAX_DIGITS:
        return AsOf(position=int(text))
    try:
        return AsOf(time=read_time(text))
    except ValueError:
        raise typer.BadParameter(f"{NOT_A_TIME}, or a position") from None


def parse_uid(text: str) -> UUID:
    """Parses a UUID. Raises typer.BadParameter."""
    try:
        return UUID(text)
    except ValueError:
        raise typer.BadParameter("must be a UUID") from None


AsOfState = Annotated[
    Any,
    typer.Option(
        "--as-of",
        parser=parse_state,
        metavar="TIME|POSITION",
        help="State to read: a recorded time (RFC 3339) or a position. Default: now.",
    ),
]
RowLimit = Annotated[int, typer.Option(help="Maximum number of rows.", min=1, max=1000)]
PageCursor = Annotated[str | None, typer.Option(help="nextCursor of the previous page. Default: the first page.")]


@contextmanager
def new_file_errors(out: object, option: str = "--out") -> Iterator[None]:
    """Ends the command with a sentence about the option if its file exists already or cannot be written."""
    try:
        yield
    except OutputExists as existing:
        exit_with_error(f"{option}: {existing} already exists. Name a new file.")
    except (OSError, sqlite3.Error) as error:
        exit_with_error(f"{option}: cannot write {out}: {getattr(error, 'strerror', None) or error}.")


@contextmanager
def cursor_errors() -> Iterator[None]:
    """Ends the command with a sentence if `--cursor` does not belong to the requested list."""
    try:
        yield
    except InvalidCursor:
        exit_with_error("--cursor: must be the cursor of a previous page with the same filters.", exit_code=2)
