"""offer-ledger backup"""

from pathlib import Path
from typing import Annotated

import typer

from api.cli.option_types import a_file_to_make
from api.cli.output import AsJson, asked_to_end, fail, print_json, progress, say
from api.export.files import whole_file
from api.settings import Settings
from api.wiring import open_service
from domain.store.sqlite.connections import copy_database
from domain.values import Watch


def backup(
    out: Annotated[Path, typer.Option(help="The file to make, which must not be there yet.")],
    *,
    as_json: AsJson = False,
) -> None:
    """Copy the whole ledger to a file, while it is in use."""
    with asked_to_end(), open_service() as service, progress("Copying pages") as watch:
        require_a_file(service.settings)
        position = copy_to(out, "--out", service.settings, watch)
    if as_json:
        print_json({"position": position, "out": str(out)})
    else:
        say(f"Copied the ledger as of position {position} to {out}.")
        say(f"To check it: OFFER_LEDGER_DATABASE_URL=sqlite:///{out} offer-ledger projections verify")


def require_a_file(settings: Settings) -> None:
    """Ends the command if the ledger is none."""
    if settings.is_shared:
        schema = settings.database_schema
        fail(f"PostgreSQL is backed up by its own tools, such as: pg_dump --format=custom --schema={schema}")


def copy_to(out: Path, option: str, settings: Settings, watch: Watch) -> int:
    """Answers the position of the copy; ends the command if what the option names is there, or can't be written."""
    with a_file_to_make(out, option), whole_file(out) as unfinished:
        return copy_database(settings.database, unfinished, watch)
