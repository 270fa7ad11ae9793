"""The fast path for usual items never decides anything: it agrees with the strict path, or leaves the item to it."""

import hashlib
import json
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw
from pydantic import BaseModel, Field

from api.intake.batch import validate_item
from api.intake.previews import preview_of
from api.intake.schema_types import Purpose, list_of
from api.intake.usual_items import MAX_USUAL_BYTES, content_digests
from domain.runs.batch_reconciliation import SentItem, ValidItem
from tests.support.examples import item
from tests.support.json_texts import ODD_NAMES, ODD_NUMBERS, ODD_STRINGS

ITEMS_PER_EXAMPLE = 20
MAX_VALUES = 10_000
EVENT = {"eventId": "e1", "name": "Sign up", "revenue": 12.5, "reward": 3, "dailyCap": 5, "showOnOfferWall": True}
ODD_URLS = [
    "HTTP://x.example",
    "http://[::1]/",
    "http://u@x.example/",
    "http://x.example/ä",
    "ftp://x.example",
    "http://",
]


def sent(**changes: Any) -> dict[str, Any]:
    return item("TP-1", **changes)


USUAL = [
    sent(),
    sent(dailyCap=None, advertiserCampaignName="Jar", creatives=[]),
    sent(dailyCap=None, offerEvents=[EVENT, {**EVENT, "eventId": "e2", "revenue": None, "reward": 0.25}]),
    sent(offerEvents=[]),
    sent(headline='\u00e9 \U0001f600 null : " \\ \n', offerEvents=None),
    {"externalId": "TP-2", "offerData": sent()["offerData"][0]},
]


def strictly(element: bytes) -> SentItem:
    return validate_item(Raw(element), 0, preview_of(Raw(element), MAX_VALUES), hashlib.sha256(element).hexdigest())


def require_agreement(element: bytes) -> bool:
    """Requires that the fast path has no digest, or that of the strict path. Returns whether it has one."""
    (found,) = content_digests([Raw(element)])
    if found is not None:
        item = strictly(element)
        assert isinstance(item, ValidItem), element
        assert (item.content.digest, item.remarks) == (found, ()), element
    return found is not None


def mutated(random: Random) -> bytes:
    """Returns an item with up to three changes of its members, and perhaps of a byte of its text."""
    document = json.loads(json.dumps(random.choice(USUAL)))
    marks = {f"mark {n}": random.choice(SPELLINGS)(random) for n in range(random.choice((0, 0, 1, 1, 2, 3)))}
    for mark in marks:
        place = random_object(random, document)
        name = random.choice([*place, "unknown", "dailyCap", "offerEvents"])
        place[name] = mark
    text = json.dumps(document, ensure_ascii=random.random() < 0.5, indent=random.choice((None, None, 1)))
    for mark, spelling in marks.items():
        text = text.replace(f'"{mark}"', spelling)
    if random.random() < 0.1:  # the same member twice
        text = text.replace('"name":', f'"name": {random.choice(ODD_STRINGS)}, "name":', 1)
    encoded = bytearray(text.encode(errors="replace"))
    if random.random() < 0.1:
        encoded[random.randrange(len(encoded))] = random.randrange(256)
    return bytes(encoded)


def random_object(random: Random, document: Any) -> dict[str, Any]:
    """Returns one of the objects inside a document."""
    objects, queue = [], [document]
    while queue:
        value = queue.pop()
        if isinstance(value, dict):
            objects.append(value)
        queue.extend(value.values() if isinstance(value, dict) else value if isinstance(value, list) else [])
    return random.choice(objects)


SPELLINGS = (
    lambda random: random.choice(ODD_NUMBERS),
    lambda random: random.choice(ODD_STRINGS),
    lambda random: json.dumps(random.choice(ODD_URLS)),
    lambda random: random.choice(("null", "true", "[]", "{}", '"5"', '""', "[null]", json.dumps([EVENT, EVENT]))),
    lambda random: str(random.randrange(-3, 3)),
    lambda random: repr(random.uniform(-1, 1) * 10 ** random.randrange(-8, 18)),
    lambda random: f"{{{random.choice(ODD_NAMES)}: 1}}",
)


@pytest.mark.parametrize("document", USUAL, ids=range(len(USUAL)))
def test_usual_item_has_the_digest_of_the_strict_path(document: dict[str, Any]) -> None:
    assert require_agreement(json.dumps(document).encode())
    assert require_agreement(json.dumps(document, ensure_ascii=False, indent=2).encode())


@given(st.integers(0, 2**64))
def test_fast_and_strict_path_agree_about_mutated_items(seed: int) -> None:
    random = Random(seed)
    for _ in range(ITEMS_PER_EXAMPLE):
        require_agreement(mutated(random))


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_fast_and_strict_path_agree_about_a_million_items() -> None:
    random = Random(20261201)
    fast = sum(require_agreement(mutated(random)) for _ in range(1_000_000))
    assert fast > 100_000


def test_mutated_items_take_both_paths() -> None:
    random = Random(1)
    fast = [require_agreement(mutated(random)) for _ in range(500)]
    assert 50 < sum(fast) < 450


@given(st.integers(0, 2**64))
def test_neighbours_do_not_change_the_digest_of_an_item(seed: int) -> None:
    random = Random(seed)
    elements = [Raw(json.dumps(random.choice(USUAL)).encode()) for _ in range(ITEMS_PER_EXAMPLE)]
    elements[random.randrange(ITEMS_PER_EXAMPLE)] = Raw(b'{"externalId": "TP-1", "offerData": {"name": 1}}')
    assert content_digests(elements) == [content_digests([element])[0] for element in elements]


def test_long_item_takes_the_strict_path() -> None:
    element = json.dumps(sent(offerDetails="x" * MAX_USUAL_BYTES)).encode()
    assert content_digests([Raw(element)]) == [None]
    assert isinstance(strictly(element), ValidItem)


class _WithUnknownKeyword(BaseModel):
    number: int = Field(multiple_of=3)


def test_rule_without_a_type_is_an_error() -> None:
    with pytest.raises(ValueError, match="multipleOf"):
        list_of(_WithUnknownKeyword, Purpose.VALIDATION)
