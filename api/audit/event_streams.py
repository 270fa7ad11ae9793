"""Reads events batch by batch for streams: file formats, and Server-Sent Events."""

import sys
from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

from msgspec import Struct

from api.audit.row_formats import CSV, LINES, csv_header, encode_cloud_events, encode_csv, encode_lines
from api.server.sending.row_memory import StreamBatch
from domain.ledgers.ledger import LedgerReader
from domain.store.commit import current_head, ledger_name
from domain.store.cursor import Cursor
from domain.values import EventOrder
from projections.audit import event_list
from projections.audit.event_item import EventView
from projections.audit.event_list import EventFilter, EventPage, Span, rest_of

EVENTS_PER_BATCH, BATCH_BYTES = 200, 128 * 1024
"""Each of many streams holds a batch. An event with a large content has a batch of its own."""


StreamKey = tuple[str, str | None]
"""The format of a stream, and the partner of its caller. Streams with the same key encode an event alike."""


class RowFormat(Struct, frozen=True):
    """A file format: what precedes the rows, and the function that encodes rows."""

    header: bytes
    encode: Callable[[Sequence[EventView]], bytes]


class StreamPlace(NamedTuple):
    """The place of a stream: after the event at `position`, with at most `remaining` events. Position 0 is the start."""

    position: int
    remaining: int


class EventStream(Struct, frozen=True):
    """The events of a stream in a file format. `show` makes what the caller may see of an event."""

    ledger: LedgerReader
    event_filter: EventFilter
    span: Span
    order: EventOrder
    show: Callable[[EventView], EventView]
    file_format: RowFormat
    key: StreamKey

    def read(self, place: StreamPlace) -> StreamBatch[StreamPlace]:
        span = rest_of(self.order, place.position, self.span)
        with self.ledger.read() as tx:
            page = stream_page(tx, self.event_filter, span, place.remaining, self.order)
        remaining = place.remaining - len(page.items)
        is_last = page.next_after is None or not remaining
        return StreamBatch(
            self.file_format.encode(list(map(self.show, page.items))),
            StreamPlace(page.next_after or 0, remaining),
            key_of(page, self.key),
            is_last=is_last,
        )


def start_of_stream(limit: int | None) -> StreamPlace:
    return StreamPlace(0, sys.maxsize if limit is None else limit)


def open_stream(
    ledger: LedgerReader,
    event_filter: EventFilter,
    span: Span,
    order: EventOrder,
    show: Callable[[EventView], EventView],
    key: StreamKey,
) -> EventStream:
    """Returns a stream of the events of a span. Without an end, the span ends at the newest position of this moment."""
    if span.until is None:
        with ledger.read() as tx:
            span = Span(span.after, current_head(tx).position)
    return EventStream(ledger, event_filter, span, order, show, row_format(ledger, key[0]), key)


def stream_page(
    tx: Cursor, event_filter: EventFilter, span: Span, limit: int = sys.maxsize, order: EventOrder = EventOrder.ASC
) -> EventPage:
    """Returns the first events of a span, few enough for a stream to hold."""
    return event_list.page(
        tx, event_filter, span.after, min(limit, EVENTS_PER_BATCH), span.until, order, max_bytes=BATCH_BYTES
    )


def key_of(page: EventPage, encoding: StreamKey) -> tuple[str, str | None, int] | None:
    """Returns the key by which streams share a batch of one event; None for a batch of several."""
    return (*encoding, page.items[0].position) if len(page.items) == 1 else None


def row_format(ledger: LedgerReader, media_type: str) -> RowFormat:
    """Returns the format of the media type `media_type`."""
    if media_type == LINES:
        return RowFormat(b"", encode_lines)
    if media_type == CSV:
        return RowFormat(csv_header(EventView), encode_csv)
    with ledger.read() as tx:
        return RowFormat(b"", partial(encode_cloud_events, f"urn:offer-ledger:{ledger_name(tx)}"))
