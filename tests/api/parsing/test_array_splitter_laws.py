"""Laws: splitting a body block by block gives the same result as parsing it as a whole."""

import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.bounds.body import BodyBounds
from api.parsing import array_splitter
from api.parsing.array_splitter import split
from api.parsing.streaming.envelope_reader import split_envelope
from api.parsing.strict_json import NotAnObject, NotJson, TooManyElements
from tests.support.json_texts import ODD_NAMES, SPACE, TEXTS, lists, member, objects

NO_BOUND = 10**9
WHITE = b" \t\r\n"
Outcome = tuple[str, tuple[bytes, ...]] | type[Exception]

BLOCK_SIZES = st.sampled_from([1, 16, 64, 256, 4 * 1024 * 1024])
CUTS = st.lists(st.floats(0, 1), max_size=6)


def parse_whole(body: bytes, max_elements: int) -> Outcome:
    try:
        envelope = split_envelope([body], "offers", BodyBounds(max_items=max_elements))
    except (NotJson, NotAnObject, TooManyElements) as error:
        return type(error)
    return repr(envelope.members), tuple(bytes(element).strip(WHITE) for element in envelope.elements)


def split_in_blocks(body: bytes, max_elements: int, cuts: list[float], block_bytes: int) -> Outcome:
    places = [0, *sorted(int(cut * len(body)) for cut in cuts), len(body)]
    blocks = [body[start:end] for start, end in pairwise(places)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(array_splitter, "SPLIT_BLOCK_BYTES", block_bytes)
        try:
            result = split(lambda: blocks, "offers", BodyBounds(max_items=max_elements))
            counts = split(lambda: iter(blocks), "offers", BodyBounds(max_items=max_elements), keep=False)
        except (NotJson, NotAnObject, TooManyElements) as error:
            return type(error)
    assert (counts.members, counts.elements, counts.element_count) == (result.members, [], len(result.elements))
    assert result.element_count == len(result.elements)
    return repr(result.members), tuple(bytes(element).strip(WHITE) for element in result.elements)


# Generated bodies


def item(external_id: str, form: dict[str, Any], content: Any) -> str:
    return json.dumps({"externalId": external_id, "offerData": [content]}, **form)


JSON_FORMS: list[dict[str, Any]] = [
    {},
    {"separators": (",", ":")},
    {"indent": 2},
    {"ensure_ascii": False},
    {"indent": "\t"},
]
CONTENTS = st.dictionaries(st.text(max_size=5), st.none() | st.integers() | st.text(max_size=20), max_size=3)
ITEMS = st.builds(item, st.text(max_size=12), st.sampled_from(JSON_FORMS), CONTENTS)
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
    """A body with random insertions, deletions, repetitions and swaps."""
    body = bytearray(draw(BODIES))
    for _ in range(draw(st.integers(1, 3))):
        start, end = sorted(draw(st.tuples(st.integers(0, len(body)), st.integers(0, len(body)))))
        match draw(st.sampled_from(["insert", "delete one", "delete", "repeat", "swap"])):
            case "insert":
                body[start:start] = draw(st.sampled_from(INSERTIONS))
            case "delete one":
                del body[start : start + 1]
            case "delete":
                del body[start:end]
            case "repeat":
                body[end:end] = body[start:end]
            case _:
                body[start : start + 2] = body[start : start + 2][::-1]
    return bytes(body)


INSERTIONS = [
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


def assert_same_outcome(body: bytes, cuts: list[float], block_bytes: int) -> None:
    assert split_in_blocks(body, NO_BOUND, cuts, block_bytes) == parse_whole(body, NO_BOUND)


# Laws


@given(BODIES, CUTS, BLOCK_SIZES)
def test_blocks_of_a_batch_do_not_change_the_result(body: bytes, cuts: list[float], block_bytes: int) -> None:
    assert_same_outcome(body, cuts, block_bytes)


@given(TEXTS.map(str.encode), CUTS, BLOCK_SIZES)
def test_blocks_of_any_document_do_not_change_the_result(body: bytes, cuts: list[float], block_bytes: int) -> None:
    assert_same_outcome(body, cuts, block_bytes)


@given(mutated(), CUTS, BLOCK_SIZES)
def test_blocks_of_a_damaged_batch_do_not_change_the_result(body: bytes, cuts: list[float], block_bytes: int) -> None:
    assert_same_outcome(body, cuts, block_bytes)


@given(mutated(), CUTS, BLOCK_SIZES, st.integers(0, 60))
def test_small_envelope_limit_does_not_change_the_result(
    body: bytes, cuts: list[float], block_bytes: int, limit: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(array_splitter, "MAX_ENVELOPE_BYTES", limit)
        patch.setattr(array_splitter, "_CUT_SEARCH_BYTES", limit)
        assert_same_outcome(body, cuts, block_bytes)


@given(BODIES, CUTS, BLOCK_SIZES, st.integers(0, 12))
def test_element_limit_applies_to_the_list_of_the_envelope(
    body: bytes, cuts: list[float], block_bytes: int, limit: int
) -> None:
    assert split_in_blocks(body, limit, cuts, block_bytes) == parse_whole(body, limit)


@given(mutated(), CUTS, BLOCK_SIZES, st.integers(0, 6))
def test_element_limit_refuses_nothing_else(body: bytes, cuts: list[float], block_bytes: int, limit: int) -> None:
    expected, actual = parse_whole(body, limit), split_in_blocks(body, limit, cuts, block_bytes)
    # A body with too many elements and without an end may give either error.
    assert actual == expected or {actual, expected} == {TooManyElements, NotJson}


def test_limit_of_no_elements_accepts_an_empty_list() -> None:
    assert split_in_blocks(b'{"offers":[]}', 0, [], 16) == ("{'offers': []}", ())


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
def test_element_limit_needs_a_valid_envelope_with_the_list(body: bytes) -> None:
    outcomes = {split_in_blocks(body, 2, cuts, size) for cuts in ([], [0.3, 0.6, 0.9]) for size in (1, 16, 1024)}
    assert outcomes == {parse_whole(body, 2)}
