"""What did an offer say, in full?"""

from typing import NamedTuple

from msgspec import Raw

from domain.store.cursor import Cursor
from domain.store.mapper import content_of
from domain.store.records.events import EventState, find_event
from domain.store.records.images import whole_text


class FoundContent(NamedTuple):
    """The content's text with its images in their places, as it was sent, and its digest."""

    text: Raw
    digest: str


def find_content(tx: Cursor, stream_id: int, version: int) -> FoundContent:
    """That of an event which brings one, and is there."""
    return content_in(tx, find_event(tx, stream_id, version))


def content_in(tx: Cursor, event: EventState) -> FoundContent:
    """That of an event which brings one."""
    stored = content_of(*event)
    return FoundContent(Raw(whole_text(tx, stored.content, stored.images)), stored.content_digest)
