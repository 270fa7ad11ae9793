"""Migrates a ledger, and copies a ledger on SQLite."""

from collections.abc import Sequence
from contextlib import closing
from functools import partial
from pathlib import Path

from api.access.private_files import atomic_file
from api.cli.local_ledger import open_ledger
from api.cli.messages import exit_with_error, print_line
from api.cli.option_errors import new_file_errors
from api.cli.output import interruptible, print_json
from api.cli.progress_bar import progress
from api.settings import Settings
from domain.store.database import Database
from domain.store.factory import open_database, require_place
from domain.store.migrations import STEPS, MigrationStep, apply_step, find_schema_version, no_ledger, pending_steps
from domain.store.schema import SCHEMA_VERSION
from domain.store.sqlite.backup import copy_database
from domain.values import ProgressCallback


def migrate_ledger(backup: Path | None, *, dry_run: bool, as_json: bool) -> None:
    settings = Settings()
    if backup:
        require_sqlite(settings)
    require_place(settings.database_location, may_create=False)
    with interruptible(), closing(open_database(settings.database_location)) as database:
        version = find_schema_version(database)
        if version is None:
            raise no_ledger(database)
        steps = pending_steps(version, STEPS)
        if not as_json:
            _print_steps(version, steps)
        if not dry_run:
            _apply(database, settings, steps, backup)
    if as_json:
        documents = [{"to": step.version, "does": step.description} for step in steps]
        print_json({"from": version, "to": SCHEMA_VERSION, "steps": documents, "dryRun": dry_run})
    elif steps and dry_run:
        print_line("Dry run: nothing was changed.")
    elif steps:
        print_line("Migrated the ledger. To check it, run: offer-ledger projections verify")


def _print_steps(version: int, steps: Sequence[MigrationStep]) -> None:
    if not steps:
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


def back_up(out: Path, *, as_json: bool) -> None:
    with interruptible(), open_ledger() as service:
        require_sqlite(service.settings)
        with progress("Copying the ledger", whole_bytes=service.settings.database.stat().st_size) as on_progress:
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
