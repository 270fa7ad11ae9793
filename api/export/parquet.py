"""How are rows written as Parquet? Columns have the names of the JSON's members; times are timestamps in UTC, what has parts of
its own is JSON text.

Needs pyarrow (extra `parquet`): imported when somebody asks for it."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, groupby, islice
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
from msgspec import Struct

from api.export.files import UNFINISHED_SUFFIX, ExportRange, NotContiguous, OutputExists, sync, whole_file
from api.http.row_formats import columns, plain, values
from projections.audit.event_item import EventView

ROWS_PER_GROUP = 50_000
BYTES_PER_GROUP = 64 * 1024 * 1024
RECORD = "_exported.json"
"""Until where a folder has been written; readers of Parquet pass over such names."""
ROWS_PER_LIST = 1_000
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


def write_file(kind: type[Struct], some: Iterable[Sequence[Struct]], path: Path) -> None:
    """Raises ThereAlready, OSError."""
    with whole_file(path) as unfinished, pq.ParquetWriter(unfinished, schema(kind)) as writer:
        for table in _tables(kind, some):
            writer.write_table(table)


def write_days(some: Iterable[Sequence[Any]], folder: Path, span: ExportRange) -> None:
    """Events in a folder for each day of recording, named as Hive does; a file is known by its first position. A folder that was
    written so gets what follows. Raises ThereAlready, NotWhatFollows, OSError."""
    until = _begin(folder, span)
    for path in folder.glob("day=*/events-*.parquet"):
        if _first_position(path) > until:  # of an export that was cut off
            path.unlink()
    for day, events in groupby(chain.from_iterable(some), lambda item: item.recorded_at[:10]):
        _write_day(events, folder / f"day={day}")
    _replace(folder / RECORD, msgspec.json.encode(span))


def _write_day(events: Iterator[EventView], folder: Path) -> None:
    first = next(events)
    folder.mkdir(exist_ok=True)
    write_file(EventView, _in_lists(chain([first], events)), folder / f"events-{first.position:012}.parquet")


def _begin(folder: Path, span: ExportRange) -> int:
    """Until which position the folder has been written."""
    if not folder.exists():
        folder.mkdir()
    record = folder / RECORD
    if not record.exists():
        if any(not path.name.startswith("day=") for path in folder.iterdir()):
            raise OutputExists(folder)
        earlier = ExportRange(span.after, span.after, span.partner)
    else:
        earlier = msgspec.json.decode(record.read_bytes(), type=ExportRange)
        if not span.after:
            raise OutputExists(folder)
    if earlier.partner != span.partner:
        whose = earlier.partner or "all partners"
        raise NotContiguous(f"the folder has events of {whose}")
    if earlier.until != span.after:
        raise NotContiguous(f"the folder has been written until position {earlier.until}")
    return earlier.until


def _first_position(path: Path) -> int:
    digits = path.stem.removeprefix("events-")
    return int(digits) if digits.isdigit() else 0


def _replace(path: Path, text: bytes) -> None:
    unfinished = path.with_name(path.name + UNFINISHED_SUFFIX)
    with unfinished.open("wb") as file:
        file.write(text)
        sync(file)
    unfinished.replace(path)


def _in_lists(items: Iterator[EventView]) -> Iterator[list[EventView]]:
    while some := list(islice(items, ROWS_PER_LIST)):
        yield some


def schema(kind: type[Struct]) -> pa.Schema:
    def type_of(name: str) -> pa.DataType:
        return pa.int64() if name in INTEGERS else _TIME if name in TIMES else pa.string()

    return pa.schema([(name, type_of(name)) for name in columns(kind)])


def _tables(kind: type[Struct], some: Iterable[Sequence[Struct]]) -> Iterator[pa.Table]:
    """Of bounded size, in rows and in bytes."""
    wanted = schema(kind)
    told: list[list[Any]] = [[] for _ in wanted]
    size = 0
    for rows in some:
        for row in rows:
            for column, value in zip(told, map(plain, values(row)), strict=True):
                column.append(value)
                size += len(value) if isinstance(value, str) else 0
        if len(told[0]) >= ROWS_PER_GROUP or size >= BYTES_PER_GROUP:
            yield _table(wanted, told)
            told, size = [[] for _ in wanted], 0
    yield _table(wanted, told)


def _table(wanted: pa.Schema, told: list[list[Any]]) -> pa.Table:
    return pa.table([pa.array(values).cast(field.type) for values, field in zip(told, wanted, strict=True)], wanted)
