"""offer-ledger migrate, offer-ledger backup"""

from collections.abc import Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from api.cli.option_types import new_file_errors
from api.cli.output import AsJson, exit_with_error, interruptible, print_json, print_line, progress
from api.export.files import atomic_file
from api.settings import Settings
from api.wiring import open_service
from domain.store.database import Database
from domain.store.factory import open_database
from domain.store.migrations import STEPS, MigrationStep, apply_step, find_schema_version, pending_steps
from domain.store.schema import SCHEMA_VERSION
from domain.store.sqlite.backup import copy_database
from domain.values import ProgressCallback


def migrate(
    backup: Annotated[
        Path | None,
        typer.Option(
            help="SQLite only: copy the ledger to this file before the first step. The file must not exist."
            " Default: no copy."
        ),
    ] = None,
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the steps and change nothing.")] = False,
    as_json: AsJson = False,
) -> None:
    """Migrate the schema of a ledger to the version of this program.

    Stop all servers and make a backup first. If the database is empty, the command creates a ledger."""
    settings = Settings()
    if backup:
        require_sqlite(settings)
    with interruptible(), closing(open_database(settings.database_location)) as database:
        # SQLite creates a missing file when it is opened.
        exists = settings.is_shared or settings.database.exists()
        version = find_schema_version(database) if exists else None
        steps = pending_steps(version, STEPS) if version is not None else []
        if not as_json:
            _print_steps(version, steps)
        if not dry_run and version is None:
            with open_service(settings):
                pass
        elif not dry_run:
            _apply(database, settings, steps, backup)
    if as_json:
        documents = [{"to": step.version, "does": step.description} for step in steps]
        print_json({"from": version, "to": SCHEMA_VERSION, "steps": documents, "dryRun": dry_run})
    elif steps and dry_run:
        print_line("Dry run: nothing was changed.")
    elif steps:
        print_line("Migrated the ledger. To check it, run: offer-ledger projections verify")


def _print_steps(version: int | None, steps: Sequence[MigrationStep]) -> None:
    if version is None:
        print_line(f"There is no ledger yet. A new ledger has schema {SCHEMA_VERSION}.")
    elif not steps:
        print_line(f"The ledger has schema {version}, the version of this program. There is nothing to migrate.")
    else:
        print_line(f"The ledger has schema {version}. This program needs schema {SCHEMA_VERSION}.")
    for step in steps:
        print_line(f"To schema {step.version}: {step.description}.")


def _apply(database: Database, settings: Settings, steps: Sequence[MigrationStep], backup: Path | None) -> None:
    """Applies the steps. The copy is made when no process can write any more: it has exactly the state that is
    migrated."""
    for step in steps:
        with progress(f"To schema {step.version}") as on_progress:
            before = partial(copy_to, backup, "--backup", settings, on_progress) if backup else None
            if apply_step(database, step, on_progress, before):
                backup = None


def backup(
    out: Annotated[Path, typer.Option(help="File to write. It must not exist.")],
    *,
    as_json: AsJson = False,
) -> None:
    """Copy a ledger on SQLite to a file while it is in use.

    For PostgreSQL, use pg_dump."""
    with interruptible(), open_service() as service, progress("Copying pages") as on_progress:
        require_sqlite(service.settings)
        position = copy_to(out, "--out", service.settings, on_progress)
    if as_json:
        print_json({"position": position, "out": str(out)})
    else:
        print_line(f"Copied the ledger as of position {position} to {out}.")
        print_line(f"To check the copy, run: OFFER_LEDGER_DATABASE_URL=sqlite:///{out} offer-ledger projections verify")


def require_sqlite(settings: Settings) -> None:
    """Ends the command with a sentence if the ledger is on PostgreSQL."""
    if settings.is_shared:
        pg_dump = f"pg_dump --format=custom --schema={settings.database_schema}"
        exit_with_error(f"Only a ledger on SQLite can be copied. To back up PostgreSQL, run: {pg_dump}")


def copy_to(out: Path, option: str, settings: Settings, on_progress: ProgressCallback) -> int:
    """Copies the ledger and returns the position of the copy.

    Ends the command with a sentence about the option if the file exists already or cannot be written."""
    with new_file_errors(out, option), atomic_file(out) as unfinished:
        return copy_database(settings.database, unfinished, on_progress)
