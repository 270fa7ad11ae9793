"""Which commands are there, and how does each of them end?

Exit codes: 0 done, 1 refused or failed, 2 usage.
"""

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import TextIOWrapper

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

app = typer.Typer(
    name="offer-ledger",
    help="The system of record for partner offers: what was live, when, who changed it and why.",
    epilog="Where the ledger lies: OFFER_LEDGER_DATABASE_URL (sqlite:///offer-ledger.db unless set).",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
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
    """Every refusal is a sentence on standard error, never a traceback."""
    _require_text(sys.argv[1:])
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        with _explained():
            app()
    except OSError as error:
        # Whoever was reading has gone, or the disk is full: nothing more can be said on standard output.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        exit_with_error(f"The output can't be written: {error.strerror}.")


@contextmanager
def _explained() -> Iterator[None]:
    try:
        yield
        sys.stdout.flush()
    except Problem as problem:
        exit_with_error(*(map(str, problem.errors) if problem.errors else [problem.detail]))
    except OlderLedger as older:
        exit_with_error(f"{older}. It is brought up to that by: offer-ledger migrate")
    except (Refused, SchemaMismatch, RebuildFailed) as refusal:
        exit_with_error(f"{refusal}.")
    except UnreadableEvent as error:
        exit_with_error(f"The ledger holds what this program can't read: {error}.")
    except StorageError as error:
        missing = unbuilt_projections.unbuilt_projection_in(error)
        remedy = (
            f" A projection's table is made by: {unbuilt_projections.rebuild_command_line([missing])}"
            if missing
            else ""
        )
        exit_with_error(f"The ledger's storage can't be used: {error}.{remedy}")
    except ValidationError as error:
        exit_with_error(*(f"OFFER_LEDGER_{c.path.upper()}: {c.message}" for c in field_errors(error)), exit_code=2)
    except KeyboardInterrupt:
        sys.exit(130)


def _require_text(arguments: Sequence[str]) -> None:
    for argument in arguments:
        try:
            argument.encode()
        except UnicodeEncodeError:
            exit_with_error(f"An argument is not UTF-8: {argument!r}", exit_code=2)
