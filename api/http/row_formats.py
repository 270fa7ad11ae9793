"""How are rows written one after the other? As lines of JSON, as CSV, and events as CloudEvents too.

Rows are structs, and come some at a time."""

import csv
from collections.abc import Iterable, Iterator, Sequence
from io import StringIO
from typing import Any

import msgspec
from msgspec import Raw, Struct

from projections.audit.event_item import EventView

LINES, CSV, CLOUD_EVENTS = "application/x-ndjson", "text/csv", "application/cloudevents+json"

_encoder = msgspec.json.Encoder()


def as_lines(some: Iterable[Sequence[Struct]]) -> Iterator[bytes]:
    """One JSON object a line, as in a list."""
    return (_encoder.encode_lines(rows) for rows in some)


def as_csv(kind: type[Struct], some: Iterable[Sequence[Struct]]) -> Iterator[bytes]:
    """RFC 4180, with a header line. What has parts of its own is JSON in one column, what is not known is empty."""
    text = StringIO()
    writer = csv.writer(text)
    writer.writerow(columns(kind))
    for rows in some:
        writer.writerows([cell(value) for value in values(row)] for row in rows)
        yield text.getvalue().encode()
        text.seek(0)
        text.truncate()
    yield text.getvalue().encode()


def columns(kind: type[Struct]) -> Sequence[str]:
    """The members of a row, as its JSON names them."""
    return kind.__struct_encode_fields__


def values(row: Struct) -> Iterator[Any]:
    return (getattr(row, name) for name in row.__struct_fields__)


def cell(value: Any) -> Any:
    """What stands for a value where there are only plain ones."""
    if isinstance(value, Raw):
        return bytes(value).decode()
    return _encoder.encode(value).decode() if isinstance(value, list) else value


def plain(value: Any) -> int | str | None:
    """The same, of types that every database has."""
    return value if value is None or isinstance(value, int) else str(cell(value))


def as_cloud_events(source: str, some: Iterable[Sequence[EventView]]) -> Iterator[bytes]:
    """CloudEvents 1.0 in JSON, one a line. The id is the position, `source` tells the ledger; what the service shows of the event
    is its data."""
    return (_encoder.encode_lines(_cloud_event(source, item) for item in items) for items in some)


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
