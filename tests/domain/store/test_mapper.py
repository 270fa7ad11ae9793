"""Every event shape that was ever stored can be read; golden/events.jsonl contains all of them."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import pytest

from domain.events import EVENT_TYPES, Event, EventStruct, Upcast
from domain.store.mapper import UnreadableEvent, content_of, decode_as, decode_event, encode_event

GOLDEN = Path(__file__).parent / "golden"
STORED = [json.loads(line) for line in (GOLDEN / "events.jsonl").read_text().splitlines()]


def stored_state(line: dict[str, Any]) -> bytes:
    return json.dumps(line["state"], separators=(",", ":"), ensure_ascii=False).encode()


@pytest.mark.parametrize("line", STORED, ids=[line["topic"] for line in STORED])
def test_stored_shape_is_decoded_as_its_event(line: dict[str, Any]) -> None:
    event = decode_event(line["topic"], stored_state(line))
    assert line["topic"] == event.TOPIC


@pytest.mark.parametrize("line", STORED, ids=[line["topic"] for line in STORED])
def test_event_is_the_same_after_encoding_and_decoding(line: dict[str, Any]) -> None:
    event = decode_event(line["topic"], stored_state(line))
    assert decode_event(line["topic"], encode_event(event)) == event


NEWEST = {line["topic"]: line for line in STORED}


@pytest.mark.parametrize("line", NEWEST.values(), ids=NEWEST)
def test_event_is_stored_in_the_newest_shape(line: dict[str, Any]) -> None:
    assert encode_event(decode_event(line["topic"], stored_state(line))) == stored_state(line)


def test_every_event_has_a_golden_shape() -> None:
    assert {line["topic"] for line in STORED} == {event.TOPIC for event in EVENT_TYPES}


def test_content_of_a_stored_event_is_verbatim() -> None:
    stored = content_of("OfferUpdated", b'{"content":{"a": 1e0},"contentDigest":"d","images":["6d"]}')
    assert (bytes(stored.content), stored.images) == (b'{"a": 1e0}', ("6d",))


@pytest.mark.parametrize("event", EVENT_TYPES)
def test_topic_is_the_class_name_of_the_event(event: type[Event]) -> None:
    assert event.__name__ == event.TOPIC


# Old shapes


def _split_name(members: dict[str, Any]) -> dict[str, Any]:
    first, _, last = members.pop("name").partition(" ")
    return members | {"firstName": first, "lastName": last}


def _add_language(members: dict[str, Any]) -> dict[str, Any]:
    return members | {"language": "en"}


class Renamed(EventStruct, frozen=True):
    """An event whose shape has changed twice."""

    TOPIC: ClassVar[str] = "Renamed"
    VERSION: ClassVar[int] = 3
    UPCASTS: ClassVar[Mapping[int, Upcast]] = {1: _split_name, 2: _add_language}
    first_name: str
    last_name: str
    language: str


@pytest.mark.parametrize("line", (GOLDEN / "upcast.jsonl").read_text().splitlines())
def test_old_shape_is_upcast_when_it_is_decoded(line: str) -> None:
    assert decode_as(Renamed, line.encode()) == Renamed(first_name="Ada", last_name="Lovelace", language="en")


def test_changed_event_is_stored_with_its_schema_version() -> None:
    event = Renamed(first_name="Ada", last_name="Lovelace", language="en")
    assert encode_event(event) == (GOLDEN / "upcast.jsonl").read_bytes().splitlines()[-1]


# Unreadable events


@pytest.mark.parametrize(
    ("topic", "state"),
    [
        ("OfferVanished", b"{}"),
        ("OfferCreated", b"{}"),
        ("OfferPaused", b'{"cause":"boredom"}'),
        ("OfferResumed", b"not JSON"),
        ("OfferResumed", b'{"schemaVersion":2}'),
    ],
    ids=["unknown event", "missing field", "unknown value", "not JSON", "from a newer program"],
)
def test_unreadable_event_is_rejected(topic: str, state: bytes) -> None:
    with pytest.raises(UnreadableEvent):
        decode_event(topic, state)
