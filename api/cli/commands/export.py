"""offer-ledger export"""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from api.cli.option_types import a_file_to_make, a_state
from api.cli.output import AsJson, asked_to_end, fail, print_json, progress, say
from api.export import files as export_files
from api.export.datasets import Export, What, state_of
from api.export.datasets import export as rows_of
from api.export.files import STANDARD_OUTPUT, NotWhatFollows, Span
from api.http.as_of import PRESENT, Asked
from api.http.pagination import told_of_head
from api.http.row_formats import as_csv, as_lines
from api.service import Service
from api.wiring import open_service
from domain.refusals import UnknownPartner
from projections.access.partners import list_partners
from projections.audit.event_item import EventItem

MAX_POSITION = 10**15


class Format(StrEnum):
    """How rows are written."""

    JSONL = "jsonl"
    CSV = "csv"
    PARQUET = "parquet"


def export(
    what: Annotated[What, typer.Argument(help="Which rows.")],
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
            parser=a_state, metavar="TIME|POSITION", help="As of a recorded time, or a position; now by default."
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
    _require_sense(what, out, form, as_of or PRESENT, after_position, as_json=as_json)
    with asked_to_end(), open_service() as service, progress(f"Exporting {what}") as watch:
        _require_known(service, partner)
        then = state_of(service, as_of or PRESENT)
        found = rows_of(service, what, then, partner, after_position, watch)
        with _explained(out):
            _write(found, form, out, Span(after_position, then.head.position, partner))
    if as_json:
        print_json({"rows": found.count, **told_of_head(then.head), "out": out})
    elif out != STANDARD_OUTPUT:
        say(f"Wrote {found.count} rows to {out}: {what} as of position {then.head.position}.")


def _require_sense(what: What, out: str, form: Format, asked: Asked, after_position: int, *, as_json: bool) -> None:
    if out == STANDARD_OUTPUT and (form is Format.PARQUET or as_json):
        fail(f"--out: name a file or a folder with {'--json' if as_json else '--format parquet'}.", exit_code=2)
    if what is What.WINDOWS and asked.position is not None:
        fail("--as-of: redemption windows are told as of a time.", exit_code=2)
    if what is not What.EVENTS and after_position:
        fail("--after-position: only events have one.", exit_code=2)


@contextmanager
def _explained(out: str) -> Iterator[None]:
    try:
        with nullcontext() if out == STANDARD_OUTPUT else a_file_to_make(out):
            yield
    except NotWhatFollows as error:
        fail(f"--after-position: {error}.", exit_code=2)


def _require_known(service: Service, partner: str | None) -> None:
    with service.ledger.recorder.reading() as tx:
        if partner is not None and not list_partners(tx, partner):
            raise UnknownPartner(partner)


def _write(found: Export, form: Format, out: str, span: Span) -> None:
    """Raises ThereAlready, NotWhatFollows, OSError."""
    match form:
        case Format.JSONL:
            export_files.write(as_lines(found.rows), out)
        case Format.CSV:
            export_files.write(as_csv(found.kind, found.rows), out)
        case Format.PARQUET:
            _write_parquet(found, Path(out).absolute(), span)


def _write_parquet(found: Export, out: Path, span: Span) -> None:
    try:
        from api.export import parquet as parquet_files  # noqa: PLC0415 - an extra, and slow to begin
    except ImportError:
        fail("--format parquet needs pyarrow: install offer-ledger[parquet].")
    if found.kind is EventItem:
        parquet_files.write_days(found.rows, out, span)
    else:
        parquet_files.write_file(found.kind, found.rows, out)
