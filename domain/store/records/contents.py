"""Reads the full content of an offer from its events, with inline images."""

from typing import NamedTuple

from msgspec import Raw

from domain.store.cursor import Cursor
from domain.store.mapper import content_of
from domain.store.records.events import EventState, find_event
from domain.store.records.images import full_text


class FullContent(NamedTuple):
    """A content's text as it was sent, with its inline images, and its digest."""

    text: Raw
    digest: str


def find_content(tx: Cursor, stream_id: int, version: int) -> FullContent:
    """Returns the content of an existing event that has one."""
    return content_of_event(tx, find_event(tx, stream_id, version))


def content_of_event(tx: Cursor, event: EventState) -> FullContent:
    """Returns the content of an event that has one."""
    stored = content_of(*event)
    return FullContent(Raw(full_text(tx, stored.content, stored.images)), stored.content_digest)
