"""Encodes events as rows, and decodes rows as events.

The stored topic is the event's short name and the stored state is its plain JSON. So the ledger can be read with a
database shell, and an event class can move to another module. Events of older versions are upcast when they are read.
"""

from collections.abc import Mapping
from functools import cache
from typing import Any, TypeVar
from uuid import UUID

import msgspec
from eventsourcing.domain import DomainEventProtocol
from eventsourcing.persistence import Mapper, MapperDeserialisationError, StoredEvent
from msgspec import Raw, Struct

from domain.events import EVENT_TYPES, Event, EventStruct

_VERSION_MEMBER = "schemaVersion"
_VERSION_PREFIX = b'{"schemaVersion":'
_encode = msgspec.json.Encoder().encode

UnreadableEvent = MapperDeserialisationError
"""The stored row is not an event that this program can read."""

E = TypeVar("E", bound=EventStruct)


class VersionedEvent(Struct, frozen=True):
    """An event with its stream and version; a domain event in the library's terms."""

    originator_id: UUID
    originator_version: int
    event: Event


class StoredContent(Struct, rename="camel"):
    """A content's JSON text, its digest, and the digests of the inline images that are stored separately."""

    content: Raw
    content_digest: str
    images: tuple[str, ...] = ()


class LedgerMapper(Mapper[UUID]):
    """Maps between VersionedEvent and StoredEvent. Raises UnreadableEvent as `decode_event` does."""

    def to_stored_event(self, domain_event: DomainEventProtocol[UUID]) -> StoredEvent:
        event: Event = domain_event.event  # type: ignore[attr-defined]
        return StoredEvent(
            domain_event.originator_id, domain_event.originator_version, event.TOPIC, encode_event(event)
        )

    def to_domain_event(self, stored_event: StoredEvent) -> VersionedEvent:
        if not isinstance(stored_event.originator_id, UUID):
            raise UnreadableEvent(f"The stream id {stored_event.originator_id!r} is not a UUID")
        event = decode_event(stored_event.topic, stored_event.state)
        return VersionedEvent(stored_event.originator_id, stored_event.originator_version, event)


def encode_event(event: EventStruct) -> bytes:
    """Returns the event's JSON. Its first member is `schemaVersion`, unless the version is 1."""
    if event.VERSION == 1:
        return _encode(event)
    return _encode({_VERSION_MEMBER: event.VERSION, **msgspec.to_builtins(event)})


def decode_event(topic: str, state: bytes) -> Event:
    """Raises UnreadableEvent if the topic is unknown, the state is invalid, or the version is newer than this program."""
    kind = _EVENTS.get(topic)
    if kind is None:
        raise UnreadableEvent(f"Unknown event type {topic!r}")
    return decode_as(kind, state)


def decode_as(kind: type[E], state: bytes) -> E:
    """Decodes an event of one type, and upcasts a state of an older version. Raises UnreadableEvent as `decode_event`."""
    try:
        if kind.VERSION == 1 and not state.startswith(_VERSION_PREFIX):
            decoded: E = _decoder(kind).decode(state)
            return decoded
        return msgspec.convert(_upcast(kind, msgspec.json.decode(state)), kind)
    except (msgspec.DecodeError, KeyError) as error:
        raise UnreadableEvent(f"A stored {kind.TOPIC} event can't be read: {error}") from error


def content_of(topic: str, state: bytes) -> StoredContent:
    """Returns the content of a stored event that has one. For version 1 it decodes only the content's members."""
    if _EVENTS[topic].VERSION == 1:
        return _decode_content_members(state)
    event = decode_event(topic, state)
    return StoredContent(event.content, event.content_digest, event.images)  # type: ignore[union-attr]


_decode_content_members = msgspec.json.Decoder(StoredContent).decode


def _upcast(kind: type[EventStruct], members: dict[str, Any]) -> dict[str, Any]:
    stored_version = members.pop(_VERSION_MEMBER, 1)
    if stored_version > kind.VERSION:
        raise UnreadableEvent(
            f"A stored {kind.TOPIC} event has version {stored_version}; this program reads up to version {kind.VERSION}"
        )
    for version in range(stored_version, kind.VERSION):
        members = kind.UPCASTS[version](members)
    return members


@cache
def _decoder(kind: type[E]) -> msgspec.json.Decoder[E]:
    return msgspec.json.Decoder(kind)


_EVENTS: Mapping[str, type[Event]] = {kind.TOPIC: kind for kind in EVENT_TYPES}
