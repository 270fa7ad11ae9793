"""offer-ledger migrate"""

from collections.abc import Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from api.cli.option_types import parse_new_file
from api.cli.output import AsJson, exit_with_error, interruptible, print_json, print_line, progress
from api.export.files import whole_file
from api.settings import Settings
from api.wiring import open_service
from domain.store.database import Database
from domain.store.factory import open_database
from domain.store.migrations import STEPS, MigrationStep, apply_steps, found_version, steps_from
from domain.store.schema import SCHEMA_VERSION
from domain.store.sqlite.backup import copy_database
from domain.values import ProgressCallback


def migrate(
    backup: Annotated[
        Path | None, typer.Option(help="On SQLite: the file to copy the ledger to first, which must not be there yet.")
    ] = None,
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Tell what would be done, and change nothing.")] = False,
    as_json: AsJson = False,
) -> None:
    """Bring the ledger of an older program up to this one. Make a backup first."""
    settings = Settings()
    if backup:
        require_a_file(settings)
    with interruptible(), closing(open_database(settings.database_location)) as database:
        # To look into a file that is not there would make it.
        is_there = settings.is_shared or settings.database.exists()
        found = found_version(database) if is_there else None
        steps = steps_from(found, STEPS) if found is not None else []
        if not as_json:
            _tell(found, steps)
        if not dry_run and found is None:
            with open_service(settings):
                pass
        elif not dry_run:
            _carry_out(database, settings, steps, backup)
    if as_json:
        told = [{"to": step.version, "does": step.does} for step in steps]
        print_json({"from": found, "to": SCHEMA_VERSION, "steps": told, "dryRun": dry_run})
    elif steps:
        print_line("Nothing has been changed." if dry_run else "Done. To check it: offer-ledger projections verify")


def _tell(found: int | None, steps: Sequence[MigrationStep]) -> None:
    if found is None:
        print_line(f"There is no ledger yet; one is made with schema {SCHEMA_VERSION}.")
    elif not steps:
        print_line(f"The ledger has schema {found}, which is that of this program: there is nothing to do.")
    else:
        print_line(f"The ledger has schema {found}; this program works with schema {SCHEMA_VERSION}.")
    for step in steps:
        print_line(f"To schema {step.version}: {step.does}.")


def _carry_out(database: Database, settings: Settings, steps: Sequence[MigrationStep], backup: Path | None) -> None:
    """The copy is of the very state that is migrated: it is made when nobody can write any more."""
    for step in steps:
        with progress(f"To schema {step.version}") as watch:
            before = partial(copy_to, backup, "--backup", settings, watch) if backup else None
            if apply_steps(database, step, watch, before):
                backup = None


def backup(
    out: Annotated[Path, typer.Option(help="The file to make, which must not be there yet.")],
    *,
    as_json: AsJson = False,
) -> None:
    """Copy the whole ledger to a file, while it is in use."""
    with interruptible(), open_service() as service, progress("Copying pages") as watch:
        require_a_file(service.settings)
        position = copy_to(out, "--out", service.settings, watch)
    if as_json:
        print_json({"position": position, "out": str(out)})
    else:
        print_line(f"Copied the ledger as of position {position} to {out}.")
        print_line(f"To check it: OFFER_LEDGER_DATABASE_URL=sqlite:///{out} offer-ledger projections verify")


def require_a_file(settings: Settings) -> None:
    """Ends the command if the ledger is none."""
    if settings.is_shared:
        schema = settings.database_schema
        exit_with_error(f"PostgreSQL is backed up by its own tools, such as: pg_dump --format=custom --schema={schema}")


def copy_to(out: Path, option: str, settings: Settings, watch: ProgressCallback) -> int:
    """Answers the position of the copy; ends the command if what the option names is there, or can't be written."""
    with parse_new_file(out, option), whole_file(out) as unfinished:
        return copy_database(settings.database, unfinished, watch)
