"""A body that is taken apart block by block says what it says when it is read as a whole."""

import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.parsing import array_splitter
from api.parsing.array_splitter import split
from api.parsing.strict_json import NotAnObject, NotJson, TooManyElements, split_envelope
from tests.support.json_texts import ODD_NAMES, SPACE, TEXTS, lists, member, objects

NO_BOUND = 10**9
WHITE = b" \t\r\n"
Found = tuple[str, tuple[bytes, ...]] | type[Exception]

BLOCK_SIZES = st.sampled_from([1, 16, 64, 256, 4 * 1024 * 1024])
CUTS = st.lists(st.floats(0, 1), max_size=6)


def as_a_whole(body: bytes, max_elements: int) -> Found:
    try:
        envelope = split_envelope(body, "offers", max_elements)
    except (NotJson, NotAnObject, TooManyElements) as refusal:
        return type(refusal)
    return repr(envelope.members), tuple(bytes(element).strip(WHITE) for element in envelope.elements)


def by_blocks(body: bytes, max_elements: int, cuts: list[float], block_bytes: int) -> Found:
    places = [0, *sorted(int(cut * len(body)) for cut in cuts), len(body)]
    blocks = [body[start:end] for start, end in pairwise(places)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(array_splitter, "SPLIT_BLOCK_BYTES", block_bytes)
        try:
            found = split(lambda: blocks, "offers", max_elements)
            counted = split(lambda: iter(blocks), "offers", max_elements, keep=False)
        except (NotJson, NotAnObject, TooManyElements) as refusal:
            return type(refusal)
    assert (counted.members, counted.elements, counted.element_count) == (found.members, [], len(found.elements))
    assert found.element_count == len(found.elements)
    return repr(found.members), tuple(bytes(element).strip(WHITE) for element in found.elements)


# What is sent


def item(external_id: str, spell: dict[str, Any], content: Any) -> str:
    return json.dumps({"externalId": external_id, "offerData": [content]}, **spell)


SPELLINGS: list[dict[str, Any]] = [
    {},
    {"separators": (",", ":")},
    {"indent": 2},
    {"ensure_ascii": False},
    {"indent": "\t"},
]
CONTENTS = st.dictionaries(st.text(max_size=5), st.none() | st.integers() | st.text(max_size=20), max_size=3)
ITEMS = st.builds(item, st.text(max_size=12), st.sampled_from(SPELLINGS), CONTENTS)
IDS = st.just('"externalId"')
ALIKE = objects(TEXTS, IDS, min_size=1, max_size=2)
OFFERS = (
    lists(ITEMS, max_size=12) | lists(ITEMS | ALIKE, max_size=8) | lists(ALIKE, max_size=12) | lists(TEXTS, max_size=8)
)

OFFERS_NAME = st.sampled_from(['"offers"'] * 6 + [r'"\u006fffers"', '"offer"'])
MEMBERS = objects(TEXTS | OFFERS, st.sampled_from(ODD_NAMES), max_size=2).map(lambda text: text[1:-1].strip())
BODIES = st.builds(
    lambda before, name, space, offers, after: (
        f"{{{space}{','.join(part for part in (before, member(name, space, offers), after) if part)}{space}}}{space}"
    ),
    MEMBERS,
    OFFERS_NAME,
    SPACE,
    OFFERS,
    MEMBERS,
).map(str.encode)


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """A body into which something has been put, or from which something was lost or moved."""
    body = bytearray(draw(BODIES))
    for _ in range(draw(st.integers(1, 3))):
        start, end = sorted(draw(st.tuples(st.integers(0, len(body)), st.integers(0, len(body)))))
        match draw(st.sampled_from(["insert", "delete one", "delete", "repeat", "swap"])):
            case "insert":
                body[start:start] = draw(st.sampled_from(INTRUDERS))
            case "delete one":
                del body[start : start + 1]
            case "delete":
                del body[start:end]
            case "repeat":
                body[end:end] = body[start:end]
            case _:
                body[start : start + 2] = body[start : start + 2][::-1]
    return bytes(body)


INTRUDERS = [
    *(bytes([byte]) for byte in b'{}[]:,"\\ 1-\x00\xff\xc3\x80\f'),
    *(
        b"NaN",
        b'"offers":[',
        b'"offers":[1],',
        b"]",
        b"],",
        b"[]",
        b"{},",
        b'},{"externalId"',
        b"\xed\xa0\x80",
        b"\\ud800",
    ),
    *(b'"x":{"offers":[1]},', b'"a":1,"a":2,', b"[" * 70 + b"]" * 70 + b",", b"[" * 5000, b"1,", b",}"),
]


def agree(body: bytes, cuts: list[float], block_bytes: int) -> None:
    assert by_blocks(body, NO_BOUND, cuts, block_bytes) == as_a_whole(body, NO_BOUND)


# The laws


@given(BODIES, CUTS, BLOCK_SIZES)
def test_a_batch_in_any_blocks_is_read_as_a_whole_one(body: bytes, cuts: list[float], block_bytes: int) -> None:
    agree(body, cuts, block_bytes)


@given(TEXTS.map(str.encode), CUTS, BLOCK_SIZES)
def test_any_document_in_any_blocks_is_read_as_a_whole_one(body: bytes, cuts: list[float], block_bytes: int) -> None:
    agree(body, cuts, block_bytes)


@given(mutated(), CUTS, BLOCK_SIZES)
def test_a_batch_that_has_come_to_harm_is_read_as_a_whole_one(body: bytes, cuts: list[float], block_bytes: int) -> None:
    agree(body, cuts, block_bytes)


@given(mutated(), CUTS, BLOCK_SIZES, st.integers(0, 60))
def test_an_envelope_of_little_room_changes_nothing(
    body: bytes, cuts: list[float], block_bytes: int, room: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(array_splitter, "MAX_ENVELOPE_BYTES", room)
        patch.setattr(array_splitter, "_SEEN_FOR_A_CUT", room)
        agree(body, cuts, block_bytes)


@given(BODIES, CUTS, BLOCK_SIZES, st.integers(0, 12))
def test_a_bound_holds_for_the_list_of_the_envelope(
    body: bytes, cuts: list[float], block_bytes: int, bound: int
) -> None:
    assert by_blocks(body, bound, cuts, block_bytes) == as_a_whole(body, bound)


@given(mutated(), CUTS, BLOCK_SIZES, st.integers(0, 6))
def test_a_bound_refuses_nothing_else(body: bytes, cuts: list[float], block_bytes: int, bound: int) -> None:
    expected, found = as_a_whole(body, bound), by_blocks(body, bound, cuts, block_bytes)
    # Of a body that has both too many elements and no end, either may be told.
    assert found == expected or {found, expected} == {TooManyElements, NotJson}


@pytest.mark.parametrize(
    "body",
    [
        b'{"x":{"offers":[{"a":1},{"a":2},{"a":3}]}}',
        b'{"x":{"offers":[{"a":1},{"a":2},{"a":3}]},"offers":[{"a":1}]}',
        b'{"x":{"offers":[1,2,3]},"offers":[1]}',
        b'{"x":[{"offers":[1,2,3]}]}',
        rb'{"\u006fffers":[1],"x":{"offers":[1,2,3]}}',
        b'{"a":1,"a":1,"offers":[1,2,3]}',
        b'{"a":1 "offers":[1,2,3]}',
        b'["offers":[1,2,3]]',
    ],
)
def test_only_the_list_of_an_envelope_in_order_can_have_too_many_elements(body: bytes) -> None:
    found = {by_blocks(body, 2, cuts, size) for cuts in ([], [0.3, 0.6, 0.9]) for size in (1, 16, 1024)}
    assert found == {as_a_whole(body, 2)}
