"""How are rows written as Parquet? Columns have the names of the JSON's members; times are timestamps in UTC, what has parts of
its own is JSON text.

Needs pyarrow (extra `parquet`): imported when somebody asks for it."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, groupby, islice
from pathlib import Path
from shutil import rmtree
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from msgspec import Struct

from api.export_files import UNFINISHED, ThereAlready, whole_file
from api.row_formats import columns, plain, values
from projections.event_item import EventItem

ROWS_PER_GROUP = 50_000
BYTES_PER_GROUP = 64 * 1024 * 1024
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


def write_days(some: Iterable[Sequence[Any]], folder: Path) -> None:
    """Events in a folder for each day of recording, named as Hive does; a file is known by its first position. A folder that is
    there already gets the new files, when all of them are written. Raises ThereAlready, OSError."""
    unfinished = folder.with_name(folder.name + UNFINISHED)
    rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    try:
        for day, events in groupby(chain.from_iterable(some), lambda item: item.recorded_at[:10]):
            _write_day(events, unfinished / f"day={day}")
        _move(unfinished, folder)
    finally:
        rmtree(unfinished, ignore_errors=True)


def _write_day(events: Iterator[EventItem], folder: Path) -> None:
    first = next(events)
    folder.mkdir()
    write_file(EventItem, _in_lists(chain([first], events)), folder / f"events-{first.position:012}.parquet")


def _move(unfinished: Path, folder: Path) -> None:
    if not folder.exists():
        unfinished.rename(folder)
        return
    moves = {path: folder / path.relative_to(unfinished) for path in unfinished.glob("*/*")}
    for target in moves.values():
        if target.exists():
            raise ThereAlready(target)
    for path, target in moves.items():
        target.parent.mkdir(exist_ok=True)
        path.rename(target)


def _in_lists(items: Iterator[EventItem]) -> Iterator[list[EventItem]]:
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
