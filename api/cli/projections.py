"""offer-ledger projections"""

import typer

from api.cli.output import AsJson, fail, print_json, print_table, progress, say, tell_differences
from api.wiring import open_service
from projections import projector, verification

app = typer.Typer(
    name="projections",
    help="The tables that are made from the events.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@app.command("status")
def status(*, as_json: AsJson = False) -> None:
    """Show how large every projection is, and which position it shows."""
    with open_service() as service:
        found = projector.status(service.ledger)
    if as_json:
        print_json({"items": found})
    else:
        print_table(("projection", "rows", "position"), [(s.name, s.rows, s.position) for s in found])


@app.command("rebuild")
def rebuild(*, as_json: AsJson = False) -> None:
    """Empty every projection and fill it again from the first event on; writers wait meanwhile."""
    with open_service() as service, progress("Replaying events") as watch:
        position = projector.rebuild(service.ledger, watch)
    if as_json:
        print_json({"position": position})
    else:
        say(f"Rebuilt {len(projector.PROJECTIONS)} projections from {position} events.")


@app.command("verify")
def verify(*, as_json: AsJson = False) -> None:
    """Replay all events and compare every commit and every projection with what they say; changes nothing."""
    with open_service() as service, progress("Replaying events") as watch:
        differences = verification.verify(service.ledger, watch)
    if as_json:
        print_json({"equal": not differences, "differences": differences})
    elif not differences:
        say("Every commit and every projection is what the events say.")
    else:
        tell_differences(differences)
    if differences:
        fail(
            "The ledger contradicts itself. A projection is mended by: offer-ledger projections rebuild;"
            " a commit or an event only by a backup."
        )
