"""offer-ledger projections"""

from typing import Annotated

import typer

from api.cli.option_types import AsJson
from api.cli.registry import example, group_of

Only = Annotated[
    list[str] | None,
    typer.Option("--only", metavar="NAME", help="Projection to rebuild; may be repeated. Default: all projections."),
]


@example("offer-ledger projections status")
def status_command(*, as_json: AsJson = False) -> None:
    """List the projections with their number of rows."""
    from api.cli.actions.upkeep import projections

    projections.print_status(as_json=as_json)


@example("offer-ledger projections rebuild --only inventory")
def rebuild_command(*, only: Only = None, as_json: AsJson = False) -> None:
    """Rebuild projections from the events.

    Reads and writes continue during a rebuild. At its end, the new tables replace the old ones. The command prints up
    to 20 rows that differed."""
    from api.cli.actions.upkeep import projections

    projections.rebuild_and_print(only, as_json=as_json)


@example("offer-ledger projections verify")
def verify_command(*, as_json: AsJson = False) -> None:
    """Check the database, and compare all commits and projections with the events.

    The command first checks the files of the database. It then recomputes the hash chain and all projections from the
    events, and prints up to 20 differences and the checks that are not possible. It changes nothing. It exits with 1 if
    the database is damaged, or if there is a difference."""
    from api.cli.actions.upkeep import projections

    projections.verify_and_print(as_json=as_json)


projections_app = group_of(
    "projections",
    "Check and rebuild the tables derived from the events.",
    status=status_command,
    rebuild=rebuild_command,
    verify=verify_command,
)
