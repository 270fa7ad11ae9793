"""How does an event become a row, and a row an event again?

Stored topic = the event's short name, stored state = its plain JSON: anyone can read the ledger with a database shell,
and no class is bound to its module for ever. Old shapes become new ones when they are read.
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
"""What is stored is not an event that this program understands."""

E = TypeVar("E", bound=EventStruct)


class VersionedEvent(Struct, frozen=True):
    """An event with its place in its stream: what the library calls a domain event."""

    originator_id: UUID
    originator_version: int
    event: Event


class StoredContent(Struct, rename="camel"):
    """A content's JSON text with its digest, and the digests of the images that stand outside of it."""

    content: Raw
    content_digest: str
    images: tuple[str, ...] = ()


class LedgerMapper(Mapper[UUID]):
    """Maps between VersionedEvent and StoredEvent."""

    def to_stored_event(self, domain_event: DomainEventProtocol[UUID]) -> StoredEvent:
        event: Event = domain_event.event  # type: ignore[attr-defined]
        return StoredEvent(
            domain_event.originator_id, domain_event.originator_version, event.TOPIC, encode_event(event)
        )

    def to_domain_event(self, stored_event: StoredEvent) -> VersionedEvent:
        if not isinstance(stored_event.originator_id, UUID):
            raise UnreadableEvent("Streams of this ledger are known by UUIDs")
        event = decode_event(stored_event.topic, stored_event.state)
        return VersionedEvent(stored_event.originator_id, stored_event.originator_version, event)


def encode_event(event: EventStruct) -> bytes:
    """The event's JSON; it tells its version, as the first member, when that is not 1."""
    if event.VERSION == 1:
        return _encode(event)
    return _encode({_VERSION_MEMBER: event.VERSION, **msgspec.to_builtins(event)})


def decode_event(topic: str, state: bytes) -> Event:
    """Raises UnreadableEvent for what this program can't understand."""
    kind = _EVENTS.get(topic)
    if kind is None:
        raise UnreadableEvent(f"There is no event named {topic!r}")
    return decode_as(kind, state)


def decode_as(kind: type[E], state: bytes) -> E:
    """Upcasts what was stored in an older version; raises UnreadableEvent as above."""
    try:
        if kind.VERSION == 1 and not state.startswith(_VERSION_PREFIX):
            decoded: E = _decoder(kind).decode(state)
            return decoded
        return msgspec.convert(_upcast(kind, msgspec.json.decode(state)), kind)
    except (msgspec.DecodeError, KeyError) as error:
        raise UnreadableEvent(f"A stored {kind.TOPIC} can't be read: {error}") from error


def content_of(topic: str, state: bytes) -> StoredContent:
    """The content in a stored event that has one; taken out of the state without reading it where it can be."""
    if _EVENTS[topic].VERSION == 1:
        return _content_alone(state)
    event = decode_event(topic, state)
    return StoredContent(event.content, event.content_digest, event.images)  # type: ignore[union-attr]


_content_alone = msgspec.json.Decoder(StoredContent).decode


def _upcast(kind: type[EventStruct], members: dict[str, Any]) -> dict[str, Any]:
    stored = members.pop(_VERSION_MEMBER, 1)
    if stored > kind.VERSION:
        raise UnreadableEvent(f"A {kind.TOPIC} of version {stored} needs a newer program")
    for version in range(stored, kind.VERSION):
        members = kind.UPCASTS[version](members)
    return members


@cache
def _decoder(kind: type[E]) -> msgspec.json.Decoder[E]:
    return msgspec.json.Decoder(kind)


_EVENTS: Mapping[str, type[Event]] = {kind.TOPIC: kind for kind in EVENT_TYPES}
