"""offer-ledger export, offer-ledger replay"""

from pathlib import Path
from typing import Annotated, Any

import typer

from api.cli.option_types import STATE, AsJson, AsOfState, parse_state
from api.cli.registry import example
from api.export.choices import Dataset, Format

MAX_POSITION = 10**15

_Out = Annotated[
    str,
    typer.Option(
        help="File to write, which must not exist, or - for standard output. For events as Parquet: a folder."
    ),
]
_AsOf = Annotated[
    Any,
    typer.Option(
        parser=parse_state,
        metavar=STATE,
        help="State to export: a recorded time or a position; for windows only a time. Default: now.",
    ),
]
_AfterPosition = Annotated[
    int,
    typer.Option(
        help="For events: leave out events up to this position, to continue an earlier export.", min=0, max=MAX_POSITION
    ),
]


@example("offer-ledger export inventory --as-of 2026-11-30 --out inventory.jsonl")
def export_command(
    what: Annotated[Dataset, typer.Argument(help="Dataset to export.")],
    out: _Out = "-",
    file_format: Annotated[
        Format,
        typer.Option("--format", help="File format. parquet needs --out and the extra offer-ledger[parquet]."),
    ] = Format.JSONL,
    as_of: _AsOf = None,
    partner: Annotated[str | None, typer.Option(help="Rows of this partner. Default: all partners.")] = None,
    after_position: _AfterPosition = 0,
    *,
    as_json: AsJson = False,
) -> None:
    """Write events, offers or redemption windows to a file.

    All rows are of the same state. A file gets its name only when it is complete."""
    from api.cli.actions.upkeep import export

    export.write_export_file(what, out, file_format, as_of, partner, after_position, as_json=as_json)


@example("offer-ledger replay --out replay.db --as-of 2026-11-30")
def replay_command(
    out: Annotated[Path, typer.Option(help="SQLite file to write. It must not exist.")],
    as_of: AsOfState = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Rebuild a state from the events, and compare the answers.

    The command writes the state to a SQLite file and compares each row with the answer of the service. It exits with
    1 if an answer differs, and keeps the file."""
    from api.cli.actions.upkeep import replay

    replay.compare_replay(out, as_of, as_json=as_json)
