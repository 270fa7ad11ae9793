"""offer-ledger export"""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from api.cli.option_types import parse_new_file, parse_state
from api.cli.output import AsJson, exit_with_error, interruptible, print_json, print_line, progress
from api.export import files
from api.export.datasets import Dataset, Export, export_state, open_export
from api.export.files import STANDARD_OUTPUT, ExportRange, NotContiguous
from api.http.as_of import NOW, AsOf
from api.http.pagination import head_members
from api.http.row_formats import as_csv, as_lines
from api.service import Service
from api.wiring import open_service
from domain.refusals import UnknownPartner
from projections.access.partners import list_partners
from projections.audit.event_item import EventView

MAX_POSITION = 10**15


class Format(StrEnum):
    """How rows are written."""

    JSONL = "jsonl"
    CSV = "csv"
    PARQUET = "parquet"


def export(
    what: Annotated[Dataset, typer.Argument(help="Which rows.")],
    out: Annotated[
        str,
        typer.Option(
            help="The file, which must not be there yet; for events as Parquet, the folder; - for standard output."
        ),
    ] = STANDARD_OUTPUT,
    form: Annotated[Format, typer.Option("--format", help="How they are written.")] = Format.JSONL,
    as_of: Annotated[
        Any,
        typer.Option(
            parser=parse_state, metavar="TIME|POSITION", help="As of a recorded time, or a position; now by default."
        ),
    ] = None,
    partner: Annotated[str | None, typer.Option(help="Only this partner's.")] = None,
    after_position: Annotated[
        int, typer.Option(help="Only events after it: what came since another export.", min=0, max=MAX_POSITION)
    ] = 0,
    *,
    as_json: AsJson = False,
) -> None:
    """Write all rows of a state, now or then, to a file."""
    _require_sense(what, out, form, as_of or NOW, after_position, as_json=as_json)
    with interruptible(), open_service() as service, progress(f"Exporting {what}") as watch:
        _require_known(service, partner)
        then = export_state(service, as_of or NOW)
        found = open_export(service, what, then, partner, after_position, watch)
        with _explained(out):
            _write(found, form, out, ExportRange(after_position, then.head.position, partner))
    if as_json:
        print_json({"rows": found.count, **head_members(then.head), "out": out})
    elif out != STANDARD_OUTPUT:
        print_line(f"Wrote {found.count} rows to {out}: {what} as of position {then.head.position}.")


def _require_sense(what: Dataset, out: str, form: Format, asked: AsOf, after_position: int, *, as_json: bool) -> None:
    if out == STANDARD_OUTPUT and (form is Format.PARQUET or as_json):
        exit_with_error(
            f"--out: name a file or a folder with {'--json' if as_json else '--format parquet'}.", exit_code=2
        )
    if what is Dataset.WINDOWS and asked.position is not None:
        exit_with_error("--as-of: redemption windows are told as of a time.", exit_code=2)
    if what is not Dataset.EVENTS and after_position:
        exit_with_error("--after-position: only events have one.", exit_code=2)


@contextmanager
def _explained(out: str) -> Iterator[None]:
    try:
        with nullcontext() if out == STANDARD_OUTPUT else parse_new_file(out):
            yield
    except NotContiguous as error:
        exit_with_error(f"--after-position: {error}.", exit_code=2)


def _require_known(service: Service, partner: str | None) -> None:
    with service.ledger.recorder.read() as tx:
        if partner is not None and not list_partners(tx, partner):
            raise UnknownPartner(partner)


def _write(found: Export, form: Format, out: str, span: ExportRange) -> None:
    """Raises ThereAlready, NotWhatFollows, OSError."""
    match form:
        case Format.JSONL:
            files.write(as_lines(found.rows), out)
        case Format.CSV:
            files.write(as_csv(found.kind, found.rows), out)
        case Format.PARQUET:
            _write_parquet(found, Path(out).absolute(), span)


def _write_parquet(found: Export, out: Path, span: ExportRange) -> None:
    try:
        from api.export import parquet  # noqa: PLC0415 - an extra, and slow to begin
    except ImportError:
        exit_with_error("--format parquet needs pyarrow: install offer-ledger[parquet].")
    if found.kind is EventView:
        parquet.write_days(found.rows, out, span)
    else:
        parquet.write_file(found.kind, found.rows, out)
