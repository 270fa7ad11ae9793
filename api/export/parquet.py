"""Writes rows as Parquet. Columns have the names of the JSON members, times are timestamps in UTC, nested values are
JSON text.

Needs pyarrow (extra `parquet`), so commands import this module only when they need it.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, groupby, islice
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
from msgspec import Struct

from api.access.private_files import UNFINISHED_SUFFIX, OutputExists, atomic_file, flush_to_disk, private_opener
from api.audit.row_formats import column_names, row_values, scalar
from api.export.files import ExportRange, NotContiguous, OtherLedger
from projections.audit.event_item import EventView

ROWS_PER_GROUP = 50_000
BYTES_PER_GROUP = 64 * 1024 * 1024
RANGE_FILE = "_exported.json"
"""The file with the range of a folder. Readers of Parquet skip files whose name starts with an underscore."""
EVENTS_PER_BATCH = 1_000
INTEGERS = {"position", "version", "offerVersion"}
TIMES = {
    "recordedAt",
    "createdAt",
    "updatedAt",
    "pausedAt",
    "deletedAt",
    "honouredUntil",
    "activatedAt",
    "redeemableUntil",
}
_TIME = pa.timestamp("us", tz="UTC")


def write_file(kind: type[Struct], batches: Iterable[Sequence[Struct]], path: Path) -> None:
    """Writes a new file. Raises OutputExists, OSError."""
    with atomic_file(path) as temporary, pq.ParquetWriter(temporary, schema(kind)) as writer:
        for table in _tables(kind, batches):
            writer.write_table(table)


def write_days(
    batches: Iterable[Sequence[Any]], folder: Path, export_range: ExportRange, *, may_be_unnamed: bool
) -> None:
    """Writes events to one subfolder per UTC day of recording, with Hive names. A file is named by its first position.

    An existing export folder is extended with the events that follow. It has the same ledger's name, or none if
    `may_be_unnamed`. Raises OutputExists, OtherLedger, NotContiguous, OSError."""
    until = _prepare_folder(folder, export_range, may_be_unnamed=may_be_unnamed)
    for path in folder.glob("day=*/events-*.parquet"):
        if _first_position(path) > until:  # left by an interrupted export
            path.unlink()
    for day, events in groupby(chain.from_iterable(batches), lambda item: item.recorded_at[:10]):
        _write_day(events, folder / f"day={day}")
    _replace(folder / RANGE_FILE, msgspec.json.encode(export_range))


def _write_day(events: Iterator[EventView], folder: Path) -> None:
    first = next(events)
    folder.mkdir(exist_ok=True)
    write_file(EventView, _in_batches(chain([first], events)), folder / f"events-{first.position:012}.parquet")


def _prepare_folder(folder: Path, export_range: ExportRange, *, may_be_unnamed: bool) -> int:
    """Creates or checks the folder. Returns the position up to which it is complete. Raises OutputExists,
    OtherLedger, NotContiguous."""
    if not folder.exists():
        folder.mkdir()
    record = folder / RANGE_FILE
    if not record.exists():
        if any(not path.name.startswith("day=") for path in folder.iterdir()):
            raise OutputExists(folder)
        earlier = ExportRange(export_range.after, export_range.after, export_range.partner)
    else:
        earlier = msgspec.json.decode(record.read_bytes(), type=ExportRange)
        if not export_range.after:
            raise OutputExists(folder)
        if not (earlier.ledger == export_range.ledger or (earlier.ledger is None and may_be_unnamed)):
            raise OtherLedger
    if earlier.partner != export_range.partner:
        owner = earlier.partner or "all partners"
        raise NotContiguous(f"the folder has the events of {owner}")
    if earlier.until != export_range.after:
        raise NotContiguous(f"the folder is complete up to position {earlier.until}")
    return earlier.until


def _first_position(path: Path) -> int:
    digits = path.stem.removeprefix("events-")
    return int(digits) if digits.isdigit() else 0


def _replace(path: Path, text: bytes) -> None:
    temporary = path.with_name(path.name + UNFINISHED_SUFFIX)
    # Left by an interrupted export, perhaps with another mode.
    temporary.unlink(missing_ok=True)
    with open(temporary, "xb", opener=private_opener) as file:
        file.write(text)
        flush_to_disk(file)
    temporary.replace(path)


def _in_batches(items: Iterator[EventView]) -> Iterator[list[EventView]]:
    while batch := list(islice(items, EVENTS_PER_BATCH)):
        yield batch


def schema(kind: type[Struct]) -> pa.Schema:
    def type_of(name: str) -> pa.DataType:
        return pa.int64() if name in INTEGERS else _TIME if name in TIMES else pa.string()

    return pa.schema([(name, type_of(name)) for name in column_names(kind)])


def _tables(kind: type[Struct], batches: Iterable[Sequence[Struct]]) -> Iterator[pa.Table]:
    """Returns tables with a bounded number of rows and bytes."""
    table_schema = schema(kind)
    column_values: list[list[Any]] = [[] for _ in table_schema]
    size = 0
    for rows in batches:
        for row in rows:
            for column, value in zip(column_values, map(scalar, row_values(row)), strict=True):
                column.append(value)
                size += len(value) if isinstance(value, str) else 0
        if len(column_values[0]) >= ROWS_PER_GROUP or size >= BYTES_PER_GROUP:
            yield _table(table_schema, column_values)
            column_values, size = [[] for _ in table_schema], 0
    yield _table(table_schema, column_values)


def _table(table_schema: pa.Schema, column_values: list[list[Any]]) -> pa.Table:
    return pa.table(
        [pa.array(values).cast(field.type) for values, field in zip(column_values, table_schema, strict=True)],
        table_schema,
    )
