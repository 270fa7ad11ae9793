"""offer-ledger replay"""

from pathlib import Path
from typing import Annotated

import typer

from api.cli.option_types import AsOfState, new_file_errors
from api.cli.output import AsJson, exit_with_error, interruptible, print_differences, print_json, print_line, progress
from api.export.replay import compare_with_replay
from api.http.as_of import NOW
from api.http.pagination import head_members
from api.wiring import open_service


def replay(
    out: Annotated[Path, typer.Option(help="SQLite file to write. It must not exist.")],
    as_of: AsOfState = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Rebuild a state from the events, and compare the answers.

    The command writes the state to a SQLite file and compares each row with the answer of the service. It exits with
    1 if an answer differs, and keeps the file."""
    with interruptible(), open_service() as service, progress("Replaying events") as on_progress, new_file_errors(out):
        result = compare_with_replay(service, as_of or NOW, out, on_progress)
    if as_json:
        comparison = {"rows": result.rows, "equal": not result.differences, "differences": result.differences}
        print_json({**head_members(result.head), **comparison, "out": str(out)})
    else:
        rows = " and ".join(f"{count} {table.replace('_', ' ')}" for table, count in result.rows.items())
        print_line(f"Rebuilt the state as of position {result.head.position} from the events: {rows} in {out}.")
        print_differences(result.differences)
        if not result.differences:
            print_line("All answers of the service match the events.")
    if result.differences:
        exit_with_error(
            "The service gives answers that differ from the events. To find the cause, run:"
            " offer-ledger projections verify"
        )
