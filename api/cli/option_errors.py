"""Turns errors about the value of an option into a sentence that names the option."""

from collections.abc import Iterator
from contextlib import contextmanager

import apsw

from api.access.private_files import OutputExists
from api.cli.messages import exit_with_error, print_notice
from api.http.as_of import AsOf, commits_around
from api.http.pagination import ForeignCursor, InvalidCursor
from api.http.problems import Problem
from api.service import Service


@contextmanager
def new_file_errors(out: object, option: str = "--out") -> Iterator[None]:
    """Ends the command with a sentence about the option if its file exists already or cannot be written."""
    try:
        yield
    except OutputExists as existing:
        exit_with_error(f"{option}: {existing} already exists. Name a new file.")
    except (OSError, apsw.Error) as error:
        exit_with_error(f"{option}: cannot write {out}: {getattr(error, 'strerror', None) or error}.")


STATE_OPTIONS = {
    **dict.fromkeys(("asOf", "asOfPosition"), "--as-of"),
    **dict.fromkeys(("from", "fromPosition"), "--from"),
    **dict.fromkeys(("to", "toPosition"), "--to"),
    "afterPosition": "--after-position",
}
"""The options by the query parameters of the API that name the same state."""


@contextmanager
def state_errors() -> Iterator[None]:
    """Ends the command with a sentence about the option if the ledger has not reached the requested state."""
    try:
        yield
    except Problem as problem:
        sentences = [f"{STATE_OPTIONS[str(error.place[-1])]}: {error.message}." for error in problem.errors]
        exit_with_error(*sentences, exit_code=2)


def print_inside_commits(service: Service, *states: AsOf) -> None:
    """Prints a note on standard error for each state whose position is inside a commit."""
    with service.ledger.recorder.read() as tx:
        spans = commits_around(tx, *states)
    for span in spans:
        print_notice(
            f"The state has only a part of a commit: that one has the positions {span.first} to {span.last}."
            f" The states before and after it are {span.first - 1} and {span.last}."
        )


@contextmanager
def cursor_errors() -> Iterator[None]:
    """Ends the command with a sentence if `--cursor` does not belong to the requested list."""
    try:
        yield
    except ForeignCursor:
        exit_with_error("--cursor: is of another ledger, or of this one before a restore. Leave it out.", exit_code=2)
    except InvalidCursor:
        exit_with_error("--cursor: must be the cursor of a previous page with the same filters.", exit_code=2)
