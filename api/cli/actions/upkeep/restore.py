"""Replaces a ledger on SQLite by a backup."""

from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import apsw
from msgspec import Struct

from api.cli.messages import exit_with_error, print_line
from api.cli.output import interruptible, print_differences, print_json
from api.cli.progress_bar import progress
from api.http.pagination import head_members
from api.settings import Settings
from api.wiring import open_service
from domain.store.commit import LedgerHead, current_head, rename_ledger
from domain.store.database import SQLITE_PREFIX
from domain.store.errors import DamagedStorage
from domain.store.factory import open_database, require_place
from domain.store.migrations import apply_step, find_schema_version, no_ledger, pending_steps
from domain.store.schema import NoLedger, OlderLedger, OtherContent, SchemaMismatch
from domain.store.sqlite.backup import copy_backup
from domain.store.sqlite.restore import LedgerInUse, replacement_of
from projections.maintenance.verification import verify


class Restored(Struct, frozen=True):
    """The state of the restored ledger, and its new name."""

    head: LedgerHead
    name: str


def restore_ledger(file: Path, *, as_json: bool) -> None:
    settings = Settings()
    if settings.is_shared:
        exit_with_error(
            "Only a ledger on SQLite is restored from a file. For PostgreSQL, run pg_restore, and then give the ledger"
            " a new name: the page Backup has the steps."
        )
    _require_replaceable(file, settings)
    place = settings.database.absolute()
    with interruptible(), _errors(file, place), replacement_of(place) as unfinished:
        with progress("Copying the backup", whole_bytes=file.stat().st_size) as on_progress:
            copy_backup(file, unfinished, on_progress)
        copied = settings.model_copy(update={"database_url": f"{SQLITE_PREFIX}{unfinished}"})
        restored = _prepare(copied, file)
        _verify(copied, file)
    if as_json:
        report = {"ledger": restored.name, "place": str(place), "resumeAfter": restored.head.position}
        print_json({**head_members(restored.head), **report})
    else:
        print_line(f"Restored the ledger in the file {place} as of position {restored.head.position}.")
        print_line(f"Its new name is {restored.name}. The ids of its events contain it.")
        print_line(f"Followers resume after position {restored.head.position}: higher positions are assigned again.")


def _require_replaceable(file: Path, settings: Settings) -> None:
    """Ends the command with a sentence if the file is no backup, or if the ledger's place has something else."""
    if not file.is_file():
        exit_with_error(f"{file}: {'is not a file' if file.exists() else 'there is no such file'}.")
    place = settings.database
    if place.exists() and place.samefile(file):
        exit_with_error(f"{file}: is the ledger itself. Name a backup.")
    try:
        # A damaged ledger can be replaced, but no other content.
        with suppress(DamagedStorage):
            require_place(settings.database_location, may_create=True)
    except SchemaMismatch as mismatch:
        exit_with_error(f"{mismatch}. Move it away first." if place.exists() else f"{mismatch}.")


@contextmanager
def _errors(file: Path, place: Path) -> Iterator[None]:
    """Ends the command with a sentence if the backup cannot be used, or the ledger cannot be replaced."""
    try:
        yield
    except LedgerInUse:
        exit_with_error(f"The ledger in the file {place} is in use. Stop all servers, watchers and imports first.")
    except apsw.Error as error:
        exit_with_error(f"{file}: cannot be copied: {error}.")
    except OSError as error:
        exit_with_error(f"Cannot replace the file {place}: {error.strerror}.")


def _prepare(copied: Settings, file: Path) -> Restored:
    """Brings the copy to the schema of this program, and gives it a new name."""
    with closing(open_database(copied.database_location)) as database:
        try:
            version = find_schema_version(database)
            if version is None:
                raise no_ledger(database)
            steps = pending_steps(version)
        except (NoLedger, OtherContent):
            exit_with_error(f"{file}: is not a backup of a ledger.")
        except (OlderLedger, SchemaMismatch) as mismatch:
            exit_with_error(f"{file}: {mismatch}.")
        for step in steps:
            with progress(f"To schema {step.version}") as on_progress:
                apply_step(database, step, on_progress)
        with database.schema_change() as tx:
            return Restored(current_head(tx), rename_ledger(tx))


def _verify(copied: Settings, file: Path) -> None:
    with open_service(copied, may_create=False) as service, progress("Verifying the copy") as on_progress:
        differences = verify(service.ledger, on_progress)
    if differences:
        print_differences(differences)
        exit_with_error(f"{file}: is inconsistent. The ledger was not replaced.")
