"""Encodes batches of rows as lines of JSON, as CSV or, for events, as CloudEvents. Rows are structs."""

import csv
from collections.abc import Iterable, Iterator, Sequence
from io import StringIO
from itertools import chain
from typing import Any

import msgspec
from msgspec import Raw, Struct

from projections.audit.event_item import EventView

LINES, CSV, CLOUD_EVENTS = "application/x-ndjson", "text/csv", "application/cloudevents+json"

LARGE_CELL = 64 * 1024
"""Cells with more characters are quoted in pieces of this length."""

_encoder = msgspec.json.Encoder()


def as_lines(batches: Iterable[Sequence[Struct]]) -> Iterator[bytes]:
    """Encodes one JSON object per line, as in a page of the API, except for line breaks between the tokens of a content."""
    return map(encode_lines, batches)


def encode_lines(rows: Sequence[Struct]) -> bytes:
    lines = _encoder.encode_lines(rows)
    if lines.count(b"\n") == len(rows) and b"\r" not in lines:
        return lines
    # A content is stored as sent. Inside its strings, JSON escapes line breaks, so these are white space between tokens.
    one_each = (_encoder.encode(row).replace(b"\n", b" ").replace(b"\r", b" ") for row in rows)
    return b"".join(line + b"\n" for line in one_each)


def as_csv(kind: type[Struct], batches: Iterable[Sequence[Struct]]) -> Iterator[bytes]:
    """Encodes RFC 4180 CSV with a header line. Nested values are JSON in one column; null is empty."""
    return chain([csv_header(kind)], map(encode_csv, batches))


def csv_header(kind: type[Struct]) -> bytes:
    return _csv_lines([column_names(kind)])


def encode_csv(rows: Sequence[Struct]) -> bytes:
    return _csv_lines([csv_cell(value) for value in row_values(row)] for row in rows)


def _csv_lines(lines: Iterable[Sequence[Any]]) -> bytes:
    rows = list(lines)
    if any(_is_large(cell) for row in rows for cell in row):
        return b"".join(b",".join(map(_csv_piece, row)) + b"\r\n" for row in rows)
    text = StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue().encode()


def _is_large(cell: Any) -> bool:
    return isinstance(cell, str) and len(cell) > LARGE_CELL


def _csv_piece(cell: Any) -> bytes:
    """Returns one cell of a line.

    The writer of the standard library takes 40 ns for each character, and no other thread runs meanwhile."""
    if _is_large(cell):
        pieces = (cell[start : start + LARGE_CELL] for start in range(0, len(cell), LARGE_CELL))
        return b'"' + b"".join(piece.replace('"', '""').encode() for piece in pieces) + b'"'
    text = StringIO()
    # The empty cell before it prevents the quotes that an empty cell needs if it is the only one.
    csv.writer(text).writerow(["", cell])
    return text.getvalue()[1:-2].encode()


def column_names(kind: type[Struct]) -> Sequence[str]:
    """Returns the names of the members in the JSON of a row."""
    return kind.__struct_encode_fields__


def row_values(row: Struct) -> Iterator[Any]:
    return (getattr(row, name) for name in row.__struct_fields__)


def csv_cell(value: Any) -> Any:
    """Returns nested values as JSON text and other values as they are."""
    if isinstance(value, Raw):
        return bytes(value).decode()
    return _encoder.encode(value).decode() if isinstance(value, list | Struct) else value


def scalar(value: Any) -> int | str | None:
    """Returns a value as a type that every database has: nested values as JSON text, other objects as text."""
    return value if value is None or isinstance(value, int) else str(csv_cell(value))


def encode_cloud_events(source: str, items: Sequence[EventView]) -> bytes:
    """Encodes CloudEvents 1.0, one JSON object per line. The id is the position, `source` is the URN of the ledger,
    and the data is the event as in a page of the API."""
    return _encoder.encode_lines([_cloud_event(source, item) for item in items])


def _cloud_event(source: str, item: EventView) -> dict[str, Any]:
    subject = {"subject": item.offer_uid} if item.offer_uid else {}
    return {
        "specversion": "1.0",
        "id": str(item.position),
        "source": source,
        "type": item.type,
        **subject,
        "time": item.recorded_at,
        "datacontenttype": "application/json",
        "data": item,
    }
