"""offer-ledger projections"""

from typing import Annotated

import typer

from api.cli.output import AsJson, exit_with_error, print_differences, print_json, print_line, print_table, progress
from api.wiring import open_service
from projections import projector
from projections.maintenance import rebuild, verification
from projections.projection import Projection

projections_app = typer.Typer(
    name="projections",
    help="Check and rebuild the tables that are derived from the events.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


Only = Annotated[
    list[str] | None,
    typer.Option("--only", metavar="NAME", help="Projection to rebuild; may be repeated. Default: all projections."),
]


@projections_app.command("status")
def status_command(*, as_json: AsJson = False) -> None:
    """List the projections with their number of rows."""
    with open_service() as service:
        status = projector.status(service.ledger)
    if as_json:
        print_json(status)
        return
    print_table(("projection", "rows"), [(s.name, "not built" if s.rows is None else s.rows) for s in status.items])
    print_line(f"The ledger is at position {status.position}.")


@projections_app.command("rebuild")
def rebuild_command(*, only: Only = None, as_json: AsJson = False) -> None:
    """Rebuild projections from the events.

    Reads and writes continue during a rebuild. At its end, the new tables replace the old ones. The command prints up
    to 20 rows that differed."""
    chosen = _find_projections(only or [])
    with open_service() as service, progress("Replaying events") as on_progress:
        done = rebuild.rebuild(service.ledger, on_progress, chosen)
    if as_json:
        print_json(done)
        return
    print_differences(done.differences, "corrected: ")
    print_line(f"Rebuilt {_name_or_count(done.rebuilt)} from {done.position} events.")


def _find_projections(names: list[str]) -> list[Projection]:
    """Returns the named projections, or all of them, in the order of their registration."""
    known = [projection.name for projection in projector.PROJECTIONS]
    for name in names:
        if name not in known:
            exit_with_error(
                f"--only: there is no projection named {name!r}. Projections: {', '.join(known)}.", exit_code=2
            )
    return [projection for projection in projector.PROJECTIONS if not names or projection.name in names]


def _name_or_count(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{len(names)} projections"


@projections_app.command("verify")
def verify_command(*, as_json: AsJson = False) -> None:
    """Compare all commits and projections with the events.

    The command recomputes the hash chain and all projections from the events, and prints up to 20 differences. It
    changes nothing. It exits with 1 if there is a difference."""
    with open_service() as service, progress("Replaying events") as on_progress:
        differences = verification.verify(service.ledger, on_progress)
    if as_json:
        print_json({"equal": not differences, "differences": differences})
    elif not differences:
        print_line("All commits and all projections match the events.")
    else:
        print_differences(differences)
    if differences:
        exit_with_error(
            "The ledger is inconsistent. To correct a projection, run: offer-ledger projections rebuild."
            " Restore a changed commit or event from a backup."
        )
