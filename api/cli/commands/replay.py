"""offer-ledger replay"""

from pathlib import Path
from typing import Annotated, Any

import typer

from api.cli.option_types import parse_new_file, parse_state
from api.cli.output import AsJson, exit_with_error, interruptible, print_differences, print_json, print_line, progress
from api.export.replay import compare_with_replay
from api.http.as_of import NOW
from api.http.pagination import head_members
from api.wiring import open_service


def replay(
    out: Annotated[Path, typer.Option(help="The SQLite file to make, which must not be there yet.")],
    as_of: Annotated[
        Any,
        typer.Option(
            parser=parse_state, metavar="TIME|POSITION", help="As of a recorded time, or a position; now by default."
        ),
    ] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Build a state from its events alone, and compare the answers."""
    with interruptible(), open_service() as service, progress("Replaying events") as watch, parse_new_file(out):
        found = compare_with_replay(service, as_of or NOW, out, watch)
    if as_json:
        told = {"rows": found.rows, "equal": not found.differences, "differences": found.differences}
        print_json({**head_members(found.head), **told, "out": str(out)})
    else:
        rows = " and ".join(f"{count} {table.replace('_', ' ')}" for table, count in found.rows.items())
        print_line(f"As of position {found.head.position} there are {rows}, by the events alone: {out}.")
        print_differences(found.differences)
        if not found.differences:
            print_line("The service answers the same.")
    if found.differences:
        exit_with_error("The service answers something else than its events say. See: offer-ledger projections verify.")
