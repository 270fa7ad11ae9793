"""Registers the commands and turns every error into a sentence and an exit code.

Exit codes: 0 done, 1 refused or failed, 2 wrong usage.
"""

import os
import sys
from collections.abc import Sequence
from importlib.metadata import version
from io import TextIOWrapper
from typing import Annotated

import typer

from api.cli.commands import diff, exports, files, maintenance, offers, partners, projections, redemption, runs, serve
from api.cli.messages import exit_with_error
from api.cli.registry import example_lines, register


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
    epilog="OFFER_LEDGER_DATABASE_URL sets the database of the ledger. Default: sqlite:///offer-ledger.db.\n\n"
    + example_lines(["offer-ledger serve", "offer-ledger inventory --database sqlite:///offer-ledger.db"]),
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def offer_ledger(*, show_version: VersionOption = False) -> None:
    assert not show_version, "its callback exits"


register(app, "demo", serve.demo_command)
register(app, "init", maintenance.init_command)
register(app, "settings", maintenance.settings_command)
register(app, "serve", serve.serve_command)
register(app, "import", files.import_command)
register(app, "watch", files.watch_command)
register(app, "inventory", offers.inventory_command)
register(app, "history", offers.history_command)
register(app, "diff", diff.diff_command)
register(app, "export", exports.export_command)
register(app, "backup", maintenance.backup_command)
register(app, "restore", maintenance.restore_command)
register(app, "migrate", maintenance.migrate_command)
register(app, "replay", exports.replay_command)
register(app, "windows", redemption.windows_command)
register(app, "verdict", redemption.verdict_command)
register(app, "events", runs.events_command)
register(app, "quota", runs.quota_command)
app.add_typer(offers.offers_app)
app.add_typer(runs.runs_app)
app.add_typer(runs.requests_app)
app.add_typer(partners.partners_app)
app.add_typer(partners.tokens_app)
app.add_typer(projections.projections_app)


def main() -> None:
    """Runs the command of `sys.argv`. Errors are sentences on standard error, never a traceback."""
    _require_utf8(sys.argv[1:])
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        app()
        sys.stdout.flush()
    except KeyboardInterrupt:
        sys.exit(130)
    except OSError as error:
        # The reader of the pipe is gone, or the disk is full: standard output is unusable from here on.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        exit_with_error(f"Cannot write the output: {error.strerror}.")
    except Exception as error:
        from api.cli.actions import errors

        errors.exit_if_expected(error)
        raise


def _require_utf8(arguments: Sequence[str]) -> None:
    for argument in arguments:
        try:
            argument.encode()
        except UnicodeEncodeError:
            exit_with_error(f"An argument is not valid UTF-8: {argument!r}.", exit_code=2)
