"""How are events written one after the other? As lines of JSON, as CSV, and as CloudEvents."""

import csv
from collections.abc import Callable, Iterator, Sequence
from io import StringIO
from typing import Any

import msgspec

from projections.event_item import EventItem

LINES, CSV, CLOUD_EVENTS = "application/x-ndjson", "text/csv", "application/cloudevents+json"
COLUMNS = EventItem.__struct_encode_fields__
CLOUD_EVENTS_SOURCE = "/api/v1/audit/events"

_encoder = msgspec.json.Encoder()

Some = Iterator[Sequence[EventItem]]


def as_lines(some: Some) -> Iterator[bytes]:
    """One JSON object a line, as in a list."""
    for items in some:
        yield _encoder.encode_lines(items)


def as_csv(some: Some) -> Iterator[bytes]:
    """RFC 4180, with a header line; the changes are JSON in one column, what is not known is empty."""
    text = StringIO()
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    for items in some:
        writer.writerows(map(_cells, items))
        yield text.getvalue().encode()
        text.seek(0)
        text.truncate()
    yield text.getvalue().encode()


def _cells(item: EventItem) -> tuple[Any, ...]:
    *told, changes = (getattr(item, name) for name in item.__struct_fields__)
    return (*told, _encoder.encode(changes).decode())


def as_cloud_events(some: Some) -> Iterator[bytes]:
    """CloudEvents 1.0 in JSON, one a line. The id is the position; what the service shows of the event is its data."""
    for items in some:
        yield _encoder.encode_lines(map(cloud_event, items))


def cloud_event(item: EventItem) -> dict[str, Any]:
    subject = {"subject": item.offer_uid} if item.offer_uid else {}
    return {
        "specversion": "1.0",
        "id": str(item.position),
        "source": CLOUD_EVENTS_SOURCE,
        "type": item.type,
        **subject,
        "time": item.recorded_at,
        "datacontenttype": "application/json",
        "data": item,
    }


FORMATS: dict[str, Callable[[Some], Iterator[bytes]]] = {
    LINES: as_lines,
    CSV: as_csv,
    CLOUD_EVENTS: as_cloud_events,
}
"""By media type."""
