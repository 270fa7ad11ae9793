"""offer-ledger export"""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from api.audit.row_formats import as_csv, as_lines
from api.cli.option_types import new_file_errors, parse_state
from api.cli.output import AsJson, exit_with_error, interruptible, print_json, print_line, progress
from api.export import files
from api.export.datasets import Dataset, Export, export_state, open_export
from api.export.files import STANDARD_OUTPUT, ExportRange, NotContiguous
from api.http.as_of import NOW, AsOf
from api.http.pagination import head_members
from api.wiring import open_service
from projections.access.partners import require_registered
from projections.audit.event_item import EventView

MAX_POSITION = 10**15


class Format(StrEnum):
    """The format of an exported file."""

    JSONL = "jsonl"
    CSV = "csv"
    PARQUET = "parquet"


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
        metavar="TIME|POSITION",
        help="State to export: a recorded time (RFC 3339) or a position; for windows only a time. Default: now.",
    ),
]
_AfterPosition = Annotated[
    int,
    typer.Option(
        help="For events: leave out events up to this position, to continue an earlier export.", min=0, max=MAX_POSITION
    ),
]


def export(
    what: Annotated[Dataset, typer.Argument(help="Dataset to export.")],
    out: _Out = STANDARD_OUTPUT,
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
    _require_valid_options(what, out, file_format, as_of or NOW, after_position, as_json=as_json)
    with interruptible(), open_service() as service, progress(f"Exporting {what}") as on_progress:
        require_registered(service.ledger, partner)
        state = export_state(service, as_of or NOW)
        rows = open_export(service, what, state, partner, after_position, on_progress)
        with _output_errors(out):
            _write(rows, file_format, out, ExportRange(after_position, state.head.position, partner))
    if as_json:
        print_json({"rows": rows.count, **head_members(state.head), "out": out})
    elif out != STANDARD_OUTPUT:
        print_line(f"Wrote {rows.count} rows to {out}: {what} as of position {state.head.position}.")


def _require_valid_options(
    what: Dataset, out: str, file_format: Format, as_of: AsOf, after_position: int, *, as_json: bool
) -> None:
    if out == STANDARD_OUTPUT and (file_format is Format.PARQUET or as_json):
        option = "--json" if as_json else "--format parquet"
        exit_with_error(f"--out: is required with {option}. Name a file or a folder.", exit_code=2)
    if what is Dataset.WINDOWS and as_of.position is not None:
        exit_with_error("--as-of: must be a time for redemption windows, not a position.", exit_code=2)
    if what is not Dataset.EVENTS and after_position:
        exit_with_error("--after-position: can be used with events only.", exit_code=2)


@contextmanager
def _output_errors(out: str) -> Iterator[None]:
    """Ends the command with a sentence if the output cannot be written or does not continue its folder."""
    try:
        with nullcontext() if out == STANDARD_OUTPUT else new_file_errors(out):
            yield
    except NotContiguous as error:
        exit_with_error(f"--after-position: {error}.", exit_code=2)


def _write(export: Export, file_format: Format, out: str, export_range: ExportRange) -> None:
    """Raises OutputExists, NotContiguous, OSError."""
    match file_format:
        case Format.JSONL:
            files.write_export(as_lines(export.rows), out)
        case Format.CSV:
            files.write_export(as_csv(export.kind, export.rows), out)
        case Format.PARQUET:
            _write_parquet(export, Path(out).absolute(), export_range)


def _write_parquet(export: Export, out: Path, export_range: ExportRange) -> None:
    try:
        from api.export import parquet
    except ImportError:
        exit_with_error("--format parquet: pyarrow is not installed. Install offer-ledger[parquet].")
    if export.kind is EventView:
        parquet.write_days(export.rows, out, export_range)
    else:
        parquet.write_file(export.kind, export.rows, out)
