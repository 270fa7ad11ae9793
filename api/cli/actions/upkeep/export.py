"""Writes events, offers or redemption windows to a file."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

from api.audit.row_formats import as_csv, as_lines
from api.cli.local_ledger import open_ledger
from api.cli.messages import exit_with_error, print_line
from api.cli.option_errors import new_file_errors, print_inside_commits, state_errors
from api.cli.output import interruptible, print_json
from api.cli.progress_bar import progress
from api.export import files
from api.export.choices import Dataset, Format
from api.export.datasets import Export, export_state, open_export
from api.export.files import STANDARD_OUTPUT, ExportRange, NotContiguous, OtherLedger
from api.http.as_of import NOW, AsOf, require_reached_position
from api.http.pagination import head_members
from domain.store.commit import was_restored
from projections.access.partners import require_registered
from projections.audit.event_item import EventView


def write_export_file(
    what: Dataset,
    out: str,
    file_format: Format,
    requested: AsOf | None,
    partner: str | None,
    after_position: int,
    *,
    as_json: bool,
) -> None:
    as_of = requested or NOW
    _require_valid_options(what, out, file_format, as_of, after_position, as_json=as_json)
    with interruptible(), open_ledger() as service, progress(f"Exporting {what}") as on_progress:
        require_registered(service.ledger, partner)
        with state_errors():
            state = export_state(service, as_of)
            with service.ledger.recorder.read() as tx:
                require_reached_position(tx, after_position, "afterPosition")
                name, may_be_unnamed = service.ledger.name_in(tx), not was_restored(tx)
        print_inside_commits(service, as_of)
        rows = open_export(service, what, state, partner, after_position, on_progress)
        with _output_errors(out):
            export_range = ExportRange(after_position, state.head.position, partner, name)
            _write(rows, file_format, out, export_range, may_be_unnamed=may_be_unnamed)
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
    except OtherLedger:
        exit_with_error(
            f"--after-position: the folder {out} has events of another ledger, or of this one before a restore."
            " Export all events into a new folder."
        )
    except NotContiguous as error:
        exit_with_error(f"--after-position: {error}.", exit_code=2)


def _write(export: Export, file_format: Format, out: str, export_range: ExportRange, *, may_be_unnamed: bool) -> None:
    """Raises OutputExists, OtherLedger, NotContiguous, OSError."""
    match file_format:
        case Format.JSONL:
            files.write_export(as_lines(export.rows), out)
        case Format.CSV:
            files.write_export(as_csv(export.kind, export.rows), out)
        case Format.PARQUET:
            _write_parquet(export, Path(out).absolute(), export_range, may_be_unnamed=may_be_unnamed)


def _write_parquet(export: Export, out: Path, export_range: ExportRange, *, may_be_unnamed: bool) -> None:
    try:
        from api.export import parquet
    except ImportError:
        exit_with_error("--format parquet: pyarrow is not installed. Install offer-ledger[parquet].")
    if export.kind is EventView:
        parquet.write_days(export.rows, out, export_range, may_be_unnamed=may_be_unnamed)
    else:
        parquet.write_file(export.kind, export.rows, out)
