"""offer-ledger backup"""

from pathlib import Path
from typing import Annotated

import typer

from api.cli.given import a_file_to_make
from api.cli.output import AsJson, asked_to_end, fail, print_json, progress, say
from api.export_files import whole_file
from api.wiring import open_service
from domain.store.sqlite import copy_database


def backup(
    out: Annotated[Path, typer.Option(help="The file to make, which must not be there yet.")],
    *,
    as_json: AsJson = False,
) -> None:
    """Copy the whole ledger to a file, while it is in use."""
    with asked_to_end(), open_service() as service, progress("Copying pages") as watch:
        if service.settings.is_shared:
            schema = service.settings.database_schema
            fail(f"PostgreSQL is backed up by its own tools, such as: pg_dump --format=custom --schema={schema}")
        with a_file_to_make(out), whole_file(out) as unfinished:
            position = copy_database(service.settings.database, unfinished, watch)
    if as_json:
        print_json({"position": position, "out": str(out)})
    else:
        say(f"Copied the ledger as of position {position} to {out}.")
        say(f"To check it: OFFER_LEDGER_DATABASE_URL=sqlite:///{out} offer-ledger projections verify")
