"""The splitter finds the list of the envelope and its elements, and is not misled by similar text."""

import json
import tracemalloc
from collections.abc import Iterator
from typing import Any

import pytest

from api.bounds.body import UNBOUNDED, BodyBounds
from api.parsing import array_splitter
from api.parsing.array_splitter import Split, split
from api.parsing.strict_json import MAX_VALUE_CHARACTERS, NotAnObject, NotJson, TooLargeValue, TooManyElements

SEPARATOR = '},{"externalId":"TP-2"'
ITEMS = [{"externalId": f"TP-{number}", "offerData": [{"name": "é" * number}]} for number in range(40)]


def split_in_blocks(body: bytes, block_bytes: int = 64, piece: int = 7) -> Split:
    blocks = [body[start : start + piece] for start in range(0, len(body), piece)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(array_splitter, "SPLIT_BLOCK_BYTES", block_bytes)
        return split(lambda: blocks, "offers", UNBOUNDED)


def elements(body: bytes, block_bytes: int = 64) -> list[Any]:
    return [json.loads(bytes(element)) for element in split_in_blocks(body, block_bytes).elements]


# The right list


@pytest.mark.parametrize(
    ("body", "members", "expected"),
    [
        (b'{"offers":[],"x":{"offers":[1]}}', {"offers": [], "x": {"offers": [1]}}, []),
        (rb'{"\u006fffers":[],"x":{"offers":[1]}}', {"offers": [], "x": {"offers": [1]}}, []),
        (rb'{"x":{"offers":[1]},"\u006fffers":[2]}', {"offers": [], "x": {"offers": [1]}}, [2]),
        (b'{"x":{"offers":[1]},"offers":[]}', {"offers": [], "x": {"offers": [1]}}, []),
        (b'{"x":{"offers":[1]},"offers":[2]}', {"offers": [], "x": {"offers": [1]}}, [2]),
        (b'{"x":[{"offers":[1]}]}', {"x": [{"offers": [1]}]}, []),
        (b'{"offers":[1],"x":[2]}', {"offers": [], "x": [2]}, [1]),
        (b'{"x":[2],"offers":[1]}', {"offers": [], "x": [2]}, [1]),
        (b'{"x":[2],"offers":[1],"y":[3]}', {"offers": [], "x": [2], "y": [3]}, [1]),
        (b'{"offers":[[1],[2]],"x":[[3]]}', {"offers": [], "x": [[3]]}, [[1], [2]]),
        (b'{"offers":[{"offers":[1]},{"offers":[2]}]}', {"offers": []}, [{"offers": [1]}, {"offers": [2]}]),
        (b'{"offers":{"offers":[1]}}', {"offers": {"offers": [1]}}, []),
        (b'{"offers":"[1]","x":[2]}', {"offers": "[1]", "x": [2]}, []),
        (rb'{"x":"\"offers\":[","offers":[1]}', {"x": '"offers":[', "offers": []}, [1]),
        (rb'{"offers":[1],"x":"],\"offers\":["}', {"x": '],"offers":[', "offers": []}, [1]),
        (rb'{"offers":["]","\"]"],"x":"]"}', {"x": "]", "offers": []}, ["]", '"]']),
        (b'{"x\\\\":1,"offers":[1]}', {"x\\": 1, "offers": []}, [1]),
        (b'{ "offers" \n:\t[ \r1 , 2 ] } ', {"offers": []}, [1, 2]),
    ],
)
@pytest.mark.parametrize("block_bytes", [1, 16, 1024])
def test_list_is_that_of_the_envelope(
    body: bytes, members: dict[str, Any], expected: list[Any], block_bytes: int
) -> None:
    assert (split_in_blocks(body, block_bytes).members, elements(body, block_bytes)) == (members, expected)


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (b'{"offers":[1],"offers":[2]}', NotJson),
        (rb'{"offers":[1],"\u006fffers":[2]}', NotJson),
        (rb'{"\u006fffers":[1],"offers":[2]}', NotJson),
        (b'{"offers":[1],"offers":2}', NotJson),
        (b'{"offers":[1,]}', NotJson),
        (b'{"offers":[,1]}', NotJson),
        (b'{"offers":[1,,2]}', NotJson),
        (b'{"offers":[1][2]}', NotJson),
        (b'{"offers":[1],}', NotJson),
        (b'{"offers":[1]]}', NotJson),
        (b'{"offers":[1]}]', NotJson),
        (b'{"offers":[1]', NotJson),
        (b'{"offers":[NaN]}', NotJson),
        (b'{"offers":[1],"x":NaN}', NotJson),
        (b'{"offers":["\xff"]}', NotJson),
        (b'{"offers":[{"a":"\xe2\x82"}],"x":1}', NotJson),
        (b'{"offers":[1]}\xc3', NotJson),
        (b'\xef\xbb\xbf\xef\xbb\xbf{"offers":[1]}', NotJson),
        (b'{"offers":[%b]}' % (b"[" * 100_000), NotJson),
        (b'["offers",[1]]', NotAnObject),
        (b'[{"offers":[1]}]', NotAnObject),
        (b"[]", NotAnObject),
        (b"", NotJson),
    ],
)
@pytest.mark.parametrize("block_bytes", [1, 16, 1024])
def test_invalid_body_is_refused(body: bytes, error: type[Exception], block_bytes: int) -> None:
    with pytest.raises(error):
        split_in_blocks(body, block_bytes)


# The ends of elements


@pytest.mark.parametrize(
    "odd",
    [
        {"externalId": "TP-1", "offerData": SEPARATOR},
        {"externalId": SEPARATOR, "offerData": [{"name": SEPARATOR * 20}]},
        {"externalId": "TP-1", "offerData": [{"externalId": "TP-2"}] * 20},
        {"externalId": "TP-1", "offerData": [[[{"externalId": "TP-2"}, {"externalId": "TP-2"}]]]},
        {"externalId": "TP-1", "offerData": [{"a": {"externalId": "]"}}, {"externalId": "}"}]},
        {"other": 1, "externalId": "TP-1"},
        {"externalId": "TP-1", "text": "x" * 1000},
        {},
        [],
        1,
    ],
)
@pytest.mark.parametrize("form", [{}, {"separators": (",", ":")}, {"indent": 1}])
@pytest.mark.parametrize("block_bytes", [1, 64, 256, 1024])
def test_text_like_a_separator_does_not_split_an_element(odd: Any, form: dict[str, Any], block_bytes: int) -> None:
    offers = [*ITEMS[:3], odd, *ITEMS[3:6], odd]
    assert elements(json.dumps({"offers": offers, "x": [1]}, **form).encode(), block_bytes) == offers


@pytest.mark.parametrize("form", [{}, {"separators": (",", ":")}, {"indent": 1}, {"ensure_ascii": False}])
@pytest.mark.parametrize("others", [{}, {"a": [1, 2], "x": "é"}])
def test_valid_batch_is_read_only_once(form: dict[str, Any], others: dict[str, Any]) -> None:
    body = json.dumps({**others, "offers": ITEMS, "operation": "Insert"}, **form).encode()
    reads: list[int] = []

    def blocks() -> Iterator[bytes]:
        reads.append(1)
        return iter([body[start : start + 100] for start in range(0, len(body), 100)])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(array_splitter, "SPLIT_BLOCK_BYTES", 512)
        result = split(blocks, "offers", UNBOUNDED)
    assert [json.loads(bytes(element)) for element in result.elements] == ITEMS
    assert len(reads) == 1


def test_elements_may_be_larger_than_blocks() -> None:
    large = [{"externalId": f"TP-{number}", "image": "x" * (3000 * (number % 3))} for number in range(20)]
    body = json.dumps({"offers": large}).encode()
    reads: list[int] = []

    def blocks() -> Iterator[bytes]:
        reads.append(1)
        return iter([body])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(array_splitter, "SPLIT_BLOCK_BYTES", 512)
        result = split(blocks, "offers", UNBOUNDED)
    assert [json.loads(bytes(element)) for element in result.elements] == large
    assert len(reads) == 1


@pytest.mark.parametrize("others", [[], ["x", "y"]])
def test_element_over_the_size_limit_is_refused(others: list[str]) -> None:
    elements = [{"image": "x" * MAX_VALUE_CHARACTERS}, *({"image": other} for other in others)]
    with pytest.raises(TooLargeValue):
        split(lambda: [json.dumps({"offers": elements}).encode()], "offers", UNBOUNDED)


def test_character_may_span_two_blocks() -> None:
    body = '{"offers":[{"a":"é😀"},{"a":"😀é"}]}'.encode()
    for piece in range(1, len(body)):
        assert [json.loads(bytes(e)) for e in split_in_blocks(body, 1, piece).elements] == [{"a": "é😀"}, {"a": "😀é"}]


# Limits


@pytest.mark.parametrize("keep", [True, False])
def test_limit_of_elements_is_inclusive(keep: bool) -> None:
    body = json.dumps({"offers": ITEMS}).encode()
    assert split(lambda: [body], "offers", BodyBounds(max_items=len(ITEMS)), keep=keep).element_count == len(ITEMS)
    with pytest.raises(TooManyElements):
        split(lambda: [body], "offers", BodyBounds(max_items=len(ITEMS) - 1), keep=keep)


def many_copies(element: bytes, size: int) -> Iterator[bytes]:
    """Yields a valid body of about `size` bytes, with copies of one element."""
    yield b'{"offers":[' + element
    block = b"," + element
    block *= 1024 * 1024 // len(block)
    yield from [block] * (size // len(block))
    yield b"]}"


@pytest.mark.parametrize(
    "element",
    [
        b"{}",
        pytest.param(b"1", marks=pytest.mark.long),
        pytest.param(b'{"a":1}', marks=pytest.mark.long),
        pytest.param(b'{"externalId":""}', marks=pytest.mark.long),
    ],
)
@pytest.mark.parametrize("megabytes", [3, pytest.param(40, marks=pytest.mark.long)])
def test_millions_of_tiny_elements_are_refused_in_bounded_memory(element: bytes, megabytes: int) -> None:
    size = megabytes * 1024 * 1024
    tracemalloc.start()
    try:
        with pytest.raises(TooManyElements):
            split(lambda: many_copies(element, size), "offers", BodyBounds(max_items=100_000))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    # Twice the body, if it must be read as a whole, plus the elements of one block.
    assert peak < 2.2 * size + 40 * 1024 * 1024
