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
    help="The tables that are made from the events.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


Only = Annotated[
    list[str] | None, typer.Option("--only", metavar="NAME", help="Only this projection; may be given several times.")
]


@projections_app.command("status")
def status_command(*, as_json: AsJson = False) -> None:
    """Show how large every projection is."""
    with open_service() as service:
        found = projector.status(service.ledger)
    if as_json:
        print_json(found)
        return
    print_table(("projection", "rows"), [(s.name, "not built" if s.rows is None else s.rows) for s in found.items])
    print_line(f"The ledger is at position {found.position}.")


@projections_app.command("rebuild")
def rebuild_command(*, only: Only = None, as_json: AsJson = False) -> None:
    """Make projections again from the first event on, and put them in the place of the present ones; reads and writes go on
    meanwhile."""
    chosen = _chosen(only or [])
    with open_service() as service, progress("Replaying events") as watch:
        done = rebuild.rebuild(service.ledger, watch, chosen)
    if as_json:
        print_json(done)
        return
    print_differences(done.differences, "mended: ")
    print_line(f"Rebuilt {_counted(done.rebuilt)} from {done.position} events.")


def _chosen(names: list[str]) -> list[Projection]:
    """Always in the order of their registration."""
    known = [projection.name for projection in projector.PROJECTIONS]
    for name in names:
        if name not in known:
            exit_with_error(
                f"--only: there is no projection named {name!r}; there are {', '.join(known)}.", exit_code=2
            )
    return [projection for projection in projector.PROJECTIONS if not names or projection.name in names]


def _counted(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{len(names)} projections"


@projections_app.command("verify")
def verify_command(*, as_json: AsJson = False) -> None:
    """Replay all events and compare every commit and every projection with what they say; changes nothing."""
    with open_service() as service, progress("Replaying events") as watch:
        differences = verification.verify(service.ledger, watch)
    if as_json:
        print_json({"equal": not differences, "differences": differences})
    elif not differences:
        print_line("Every commit and every projection is what the events say.")
    else:
        print_differences(differences)
    if differences:
        exit_with_error(
            "The ledger contradicts itself. A projection is mended by: offer-ledger projections rebuild;"
            " a commit or an event only by a backup."
        )
