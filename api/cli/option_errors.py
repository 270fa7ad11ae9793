"""Turns errors about the value of an option into a sentence that names the option."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from api.cli.messages import exit_with_error
from api.export.files import OutputExists
from api.http.pagination import InvalidCursor


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
