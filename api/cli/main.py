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

from api.cli.commands import diff, export, offers, partners, projections, replay, serve, tokens, watch
from api.cli.commands import import_file as imports
from api.cli.commands import maintenance as backup
from api.cli.commands import maintenance as migrate
from api.cli.commands import redemption as owed
from api.cli.demo import command as demo
from api.cli.output import fail
from api.http import unbuilt_projections as not_built
from api.http.problems import Problem
from api.validation.field_errors import complaints
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
app.command("demo")(demo.demo)
app.command("serve")(serve.serve)
app.command("import")(imports.import_file)
app.command("watch")(watch.watch)
app.command("inventory")(offers.inventory)
app.command("history")(offers.history)
app.command("diff")(diff.diff)
app.command("export")(export.export)
app.command("backup")(backup.backup)
app.command("migrate")(migrate.migrate)
app.command("replay")(replay.replay)
app.command("windows")(owed.windows)
app.command("verdict")(owed.verdict)
app.add_typer(partners.app)
app.add_typer(tokens.app)
app.add_typer(projections.app)


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
        fail(f"The output can't be written: {error.strerror}.")


@contextmanager
def _explained() -> Iterator[None]:
    try:
        yield
        sys.stdout.flush()
    except Problem as problem:
        fail(*(map(str, problem.errors) if problem.errors else [problem.detail]))
    except OlderLedger as older:
        fail(f"{older}. It is brought up to that by: offer-ledger migrate")
    except (Refused, SchemaMismatch, RebuildFailed) as refusal:
        fail(f"{refusal}.")
    except UnreadableEvent as error:
        fail(f"The ledger holds what this program can't read: {error}.")
    except StorageError as error:
        missing = not_built.named_in(error)
        remedy = f" A projection's table is made by: {not_built.command([missing])}" if missing else ""
        fail(f"The ledger's storage can't be used: {error}.{remedy}")
    except ValidationError as error:
        fail(*(f"OFFER_LEDGER_{c.path.upper()}: {c.message}" for c in complaints(error)), exit_code=2)
    except KeyboardInterrupt:
        sys.exit(130)


def _require_text(arguments: Sequence[str]) -> None:
    for argument in arguments:
        try:
            argument.encode()
        except UnicodeEncodeError:
            fail(f"An argument is not UTF-8: {argument!r}", exit_code=2)
