"""offer-ledger projections"""

from contextlib import AbstractContextManager

import msgspec
import typer

from api.batch_intake import Advance
from api.cli.output import AsJson, fail, print_json, print_table, progress
from api.wiring import Service, open_service
from projections import projector

app = typer.Typer(
    name="projections", help="The tables that are made from the events, and can be made again.", no_args_is_help=True
)


@app.command("status")
def status(*, as_json: AsJson = False) -> None:
    """Show how large every projection is, and which position it shows."""
    with open_service() as service:
        found = projector.status(service.ledger)
    if as_json:
        print_json({"items": found})
    else:
        print_table(("projection", "rows", "position"), [(s.name, s.rows, s.position) for s in found], empty="")


@app.command("rebuild")
def rebuild(*, as_json: AsJson = False) -> None:
    """Empty every projection and fill it again from the first event on; writers wait meanwhile."""
    with open_service() as service, _bar(service) as advance:
        position = projector.rebuild(service.ledger, advance)
    if as_json:
        print_json({"position": position})
    else:
        print(f"Rebuilt {len(projector.PROJECTIONS)} projections from {position} events.")


@app.command("verify")
def verify(*, as_json: AsJson = False) -> None:
    """Replay all events and compare every commit and every projection with what they say; changes nothing."""
    with open_service() as service, _bar(service) as advance:
        differences = projector.verify(service.ledger, advance)
    if as_json:
        print_json({"equal": not differences, "differences": differences})
    elif not differences:
        print("Every commit and every projection is what the events say.")
    for difference in [] if as_json else differences:
        print(f"{difference.where}: found {_shown(difference.found)}, expected {_shown(difference.expected)}")
    if differences:
        fail("The ledger contradicts itself: rebuild the projections; a changed commit must come back from a backup.")


def _bar(service: Service) -> AbstractContextManager[Advance]:
    return progress("Replaying events", service.ledger.recorder.max_notification_id() or 0)


def _shown(row: object) -> str:
    return "nothing" if row is None else msgspec.json.encode(row).decode()
