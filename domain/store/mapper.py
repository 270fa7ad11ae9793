"""How does a fact become a row, and a row a fact again?

Stored topic = the fact's short name, stored state = its plain JSON: anyone can read the ledger with a database shell,
and no class is bound to its module for ever. Old shapes become new ones when they are read.
"""

from collections.abc import Mapping
from functools import cache
from typing import Any, TypeVar
from uuid import UUID

import msgspec
from eventsourcing.domain import DomainEventProtocol
from eventsourcing.persistence import Mapper, MapperDeserialisationError, StoredEvent
from eventsourcing.utils import register_topic
from msgspec import Struct

from domain.events import EVENT_TYPES, Event, Fact

_VERSION_MEMBER = "schemaVersion"
_VERSION_PREFIX = b'{"schemaVersion":'
_encode = msgspec.json.Encoder().encode

UnreadableEvent = MapperDeserialisationError
"""What is stored is not an event that this program understands."""

F = TypeVar("F", bound=Fact)


class VersionedEvent(Struct, frozen=True):
    """A fact with its place in its stream: what the library calls a domain event."""

    originator_id: UUID
    originator_version: int
    event: Event


for _fact in EVENT_TYPES:
    register_topic(_fact.TOPIC, _fact)


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


def encode_event(event: Fact) -> bytes:
    """The fact's JSON; it tells its version, as the first member, when that is not 1."""
    if event.VERSION == 1:
        return _encode(event)
    return _encode({_VERSION_MEMBER: event.VERSION, **msgspec.to_builtins(event)})


def decode_event(topic: str, state: bytes) -> Event:
    """Raises UnreadableEvent for what this program can't understand."""
    fact = _FACTS.get(topic)
    if fact is None:
        raise UnreadableEvent(f"There is no event named {topic!r}")
    return decode_fact(fact, state)


def decode_fact(fact: type[F], state: bytes) -> F:
    """Upcasts what was stored in an older version; raises UnreadableEvent as above."""
    try:
        if fact.VERSION == 1 and not state.startswith(_VERSION_PREFIX):
            decoded: F = _decoder(fact).decode(state)
            return decoded
        return msgspec.convert(_upcast(fact, msgspec.json.decode(state)), fact)
    except (msgspec.DecodeError, KeyError) as error:
        raise UnreadableEvent(f"A stored {fact.TOPIC} can't be read: {error}") from error


def _upcast(fact: type[Fact], members: dict[str, Any]) -> dict[str, Any]:
    stored = members.pop(_VERSION_MEMBER, 1)
    if stored > fact.VERSION:
        raise UnreadableEvent(f"A {fact.TOPIC} of version {stored} needs a newer program")
    for version in range(stored, fact.VERSION):
        members = fact.UPCASTS[version](members)
    return members


@cache
def _decoder(fact: type[F]) -> msgspec.json.Decoder[F]:
    return msgspec.json.Decoder(fact)


_FACTS: Mapping[str, type[Event]] = {fact.TOPIC: fact for fact in EVENT_TYPES}
