"""Checks and rebuilds projections."""

from api.cli.local_ledger import open_ledger
from api.cli.messages import exit_with_error, print_line
from api.cli.output import print_differences, print_json, print_table
from api.cli.progress_bar import progress
from projections import projector
from projections.maintenance import rebuild, verification
from projections.projection import Projection


def print_status(*, as_json: bool) -> None:
    with open_ledger() as service:
        status = projector.status(service.ledger)
    if as_json:
        print_json(status)
        return
    print_table(("projection", "rows"), [(s.name, "not built" if s.rows is None else s.rows) for s in status.items])
    print_line(f"The ledger is at position {status.position}.")


def rebuild_and_print(only: list[str] | None, *, as_json: bool) -> None:
    chosen = _find_projections(only or [])
    with open_ledger() as service, progress("Replaying events") as on_progress:
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


def verify_and_print(*, as_json: bool) -> None:
    with open_ledger() as service, progress("Replaying events") as on_progress:
        result = verification.verify_ledger(service.ledger, on_progress)
    if as_json:
        print_json(
            {
                "equal": not result.differences,
                "damaged": result.damaged,
                "differences": result.differences,
                "notChecked": result.not_checked,
            }
        )
    else:
        print_differences(result.differences)
        if not result.differences:
            print_line("All commits and all projections match the events.")
        for check in result.not_checked:
            print_line(f"Not checked: {check.what}: {check.reason}.")
    if result.damaged:
        exit_with_error("The database is damaged. Restore a backup.")
    if result.differences:
        exit_with_error(
            "The ledger is inconsistent. To correct a projection, run: offer-ledger projections rebuild."
            " Restore a changed commit or event from a backup."
        )
