"""Rebuilds a state from the events, and compares the answers."""

from pathlib import Path

from api.cli.local_ledger import open_ledger
from api.cli.messages import exit_with_error, print_line
from api.cli.option_errors import new_file_errors, print_inside_commits, state_errors
from api.cli.output import interruptible, print_differences, print_json
from api.cli.progress_bar import progress
from api.export.replay import compare_with_replay
from api.http.as_of import NOW, AsOf
from api.http.pagination import head_members


def compare_replay(out: Path, as_of: AsOf | None, *, as_json: bool) -> None:
    with interruptible(), open_ledger() as service, progress("Replaying events") as on_progress, new_file_errors(out):
        with state_errors():
            result = compare_with_replay(service, as_of or NOW, out, on_progress)
        print_inside_commits(service, as_of or NOW)
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
