"""offer-ledger replay"""

from pathlib import Path
from typing import Annotated, Any

import typer

from api.cli.option_types import a_file_to_make, a_state
from api.cli.output import AsJson, asked_to_end, fail, print_json, progress, say, tell_differences
from api.export.replay import replay as replay_to
from api.http.as_of import PRESENT
from api.http.pagination import told_of_head
from api.wiring import open_service


def replay(
    out: Annotated[Path, typer.Option(help="The SQLite file to make, which must not be there yet.")],
    as_of: Annotated[
        Any,
        typer.Option(
            parser=a_state, metavar="TIME|POSITION", help="As of a recorded time, or a position; now by default."
        ),
    ] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Build a state from its events alone, and compare the answers."""
    with asked_to_end(), open_service() as service, progress("Replaying events") as watch, a_file_to_make(out):
        found = replay_to(service, as_of or PRESENT, out, watch)
    if as_json:
        told = {"rows": found.rows, "equal": not found.differences, "differences": found.differences}
        print_json({**told_of_head(found.head), **told, "out": str(out)})
    else:
        rows = " and ".join(f"{count} {table.replace('_', ' ')}" for table, count in found.rows.items())
        say(f"As of position {found.head.position} there are {rows}, by the events alone: {out}.")
        tell_differences(found.differences)
        if not found.differences:
            say("The service answers the same.")
    if found.differences:
        fail("The service answers something else than its events say. See: offer-ledger projections verify.")
