"""Registers the commands and turns every error into a sentence and an exit code.

Exit codes: 0 done, 1 refused or failed, 2 wrong usage.
"""

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from io import TextIOWrapper
from typing import Annotated

import typer
from pydantic import ValidationError

from api.cli.commands import (
    diff,
    export,
    import_file,
    offers,
    partners,
    projections,
    redemption,
    replay,
    serve,
    tokens,
    watch,
)
from api.cli.commands import maintenance as backup
from api.cli.commands import maintenance as migrate
from api.cli.demo import command
from api.cli.output import exit_with_error
from api.http import unbuilt_projections
from api.http.problems import Problem
from api.validation.field_errors import field_errors
from domain.ledgers.ledger import StorageError
from domain.refusals import Refused
from domain.store.mapper import UnreadableEvent
from domain.store.schema import OlderLedger, SchemaMismatch
from projections.maintenance.rebuild import RebuildFailed


def _print_version(*, is_requested: bool) -> None:
    if is_requested:
        print(f"offer-ledger {version('offer-ledger')}")
        raise typer.Exit


VersionOption = Annotated[
    bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version and exit.")
]

app = typer.Typer(
    name="offer-ledger",
    help="Record the offers of partners, and read every past state: which offers were live, who changed them and why.",
    epilog="OFFER_LEDGER_DATABASE_URL sets the database of the ledger. Default: sqlite:///offer-ledger.db.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def offer_ledger(*, show_version: VersionOption = False) -> None:
    assert not show_version, "its callback exits"


app.command("demo")(command.demo)
app.command("serve")(serve.serve)
app.command("import")(import_file.import_file)
app.command("watch")(watch.watch)
app.command("inventory")(offers.inventory)
app.command("history")(offers.history)
app.command("diff")(diff.diff)
app.command("export")(export.export)
app.command("backup")(backup.backup)
app.command("migrate")(migrate.migrate)
app.command("replay")(replay.replay)
app.command("windows")(redemption.windows)
app.command("verdict")(redemption.verdict)
app.add_typer(partners.partners_app)
app.add_typer(tokens.tokens_app)
app.add_typer(projections.projections_app)


def main() -> None:
    """Runs the command of `sys.argv`. Errors are sentences on standard error, never a traceback."""
    _require_utf8(sys.argv[1:])
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        with _errors_as_sentences():
            app()
    except OSError as error:
        # The reader of the pipe is gone, or the disk is full: standard output is unusable from here on.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        exit_with_error(f"Cannot write the output: {error.strerror}.")


@contextmanager
def _errors_as_sentences() -> Iterator[None]:
    try:
        yield
        sys.stdout.flush()
    except Problem as problem:
        exit_with_error(*(map(str, problem.errors) if problem.errors else [problem.detail]))
    except OlderLedger as older:
        exit_with_error(f"{older}. To migrate it, run: offer-ledger migrate")
    except (Refused, SchemaMismatch, RebuildFailed) as refusal:
        exit_with_error(f"{refusal}.")
    except UnreadableEvent as error:
        exit_with_error(f"The ledger contains an event that this program cannot read: {error}.")
    except StorageError as error:
        missing = unbuilt_projections.unbuilt_projection_in(error)
        remedy = (
            f" To build the missing projection, run: {unbuilt_projections.rebuild_command_line([missing])}"
            if missing
            else ""
        )
        exit_with_error(f"Cannot use the database of the ledger: {error}.{remedy}")
    except ValidationError as error:
        exit_with_error(
            *(f"OFFER_LEDGER_{wrong.path.upper()}: {wrong.message}" for wrong in field_errors(error)), exit_code=2
        )
    except KeyboardInterrupt:
        sys.exit(130)


def _require_utf8(arguments: Sequence[str]) -> None:
    for argument in arguments:
        try:
            argument.encode()
        except UnicodeEncodeError:
            exit_with_error(f"An argument is not valid UTF-8: {argument!r}.", exit_code=2)
