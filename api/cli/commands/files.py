"""offer-ledger import, offer-ledger watch"""

from pathlib import Path
from typing import Annotated

import typer

from api.cli.option_types import AsJson, parse_directory
from api.cli.registry import example


@example("offer-ledger import examples/batch-insert.json --partner tidepool")
def import_command(
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE",
            help="Batch or offers file; its content decides which of the two it is.",
            exists=True,
            dir_okay=False,
        ),
    ],
    partner: Annotated[str, typer.Option(help="Partner of the offers.")],
    *,
    as_json: AsJson = False,
) -> None:
    """Process a batch or an offers file.

    The outcome is the same as if the partner had sent the file over HTTP. A batch that was accepted before, or the
    partner's newest file, changes nothing: the command prints the first outcome. If the command is interrupted, a
    server finishes the run; so does the same command, if you repeat it."""
    from api.cli.actions.intake import import_file

    import_file.process_file(file, partner, as_json=as_json)


@example("offer-ledger watch /srv/tidepool/inbox --partner tidepool")
def watch_command(
    directory: Annotated[
        Path, typer.Argument(metavar="DIR", help="Directory where offers files arrive.", parser=parse_directory)
    ],
    partner: Annotated[str, typer.Option(help="Partner of the offers.")],
    *,
    as_json: AsJson = False,
) -> None:
    """Process the offers files that arrive in a directory.

    The command runs until SIGTERM or Ctrl-C. It processes a file when its writer has closed it or has renamed it into
    the directory. Files are processed one at a time, the oldest date in the name first. A processed file moves to the
    folder done/ or refused/ of the directory, with a report beside it."""
    from api.cli.actions.intake import watch

    watch.watch_directory(directory, partner, as_json=as_json)
