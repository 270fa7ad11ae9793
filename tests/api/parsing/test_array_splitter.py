"""A large body is taken apart without reading it; nothing that looks like its list is taken for it."""

import json
import tracemalloc
from collections.abc import Iterator
from typing import Any

import pytest

from api.parsing import array_splitter
from api.parsing.array_splitter import Split, split
from api.parsing.strict_json import MAX_VALUE_CHARACTERS, NotAnObject, NotJson, TooLargeValue, TooManyElements

NO_BOUND = 10**9
SEAM = '},{"externalId":"TP-2"'
ITEMS = [{"externalId": f"TP-{number}", "offerData": [{"name": "é" * number}]} for number in range(40)]


def taken(body: bytes, block_bytes: int = 64, piece: int = 7) -> Split:
    blocks = [body[start : start + piece] for start in range(0, len(body), piece)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(array_splitter, "SPLIT_BLOCK_BYTES", block_bytes)
        return split(lambda: blocks, "offers", NO_BOUND)


def elements(body: bytes, block_bytes: int = 64) -> list[Any]:
    return [json.loads(bytes(element)) for element in taken(body, block_bytes).elements]


# Which list is it?


@pytest.mark.parametrize(
    ("body", "members", "found"),
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
def test_the_list_is_the_one_of_the_envelope(
    body: bytes, members: dict[str, Any], found: list[Any], block_bytes: int
) -> None:
    assert (taken(body, block_bytes).members, elements(body, block_bytes)) == (members, found)


@pytest.mark.parametrize(
    ("body", "refusal"),
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
        (b'\xef\xbb\xbf{"offers":[1]}', NotJson),
        (b'{"offers":[%b]}' % (b"[" * 100_000 + b"]" * 100_000), NotJson),
        (b'["offers",[1]]', NotAnObject),
        (b'[{"offers":[1]}]', NotAnObject),
        (b"[]", NotAnObject),
        (b"", NotJson),
    ],
)
@pytest.mark.parametrize("block_bytes", [1, 16, 1024])
def test_what_is_not_in_order_is_refused_as_it_would_be_as_a_whole(
    body: bytes, refusal: type[Exception], block_bytes: int
) -> None:
    with pytest.raises(refusal):
        taken(body, block_bytes)


# Where does an element end?


@pytest.mark.parametrize(
    "odd",
    [
        {"externalId": "TP-1", "offerData": SEAM},
        {"externalId": SEAM, "offerData": [{"name": SEAM * 20}]},
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
@pytest.mark.parametrize("spelling", [{}, {"separators": (",", ":")}, {"indent": 1}])
@pytest.mark.parametrize("block_bytes", [1, 64, 256, 1024])
def test_what_looks_like_the_seam_of_two_elements_divides_none(
    odd: Any, spelling: dict[str, Any], block_bytes: int
) -> None:
    offers = [*ITEMS[:3], odd, *ITEMS[3:6], odd]
    assert elements(json.dumps({"offers": offers, "x": [1]}, **spelling).encode(), block_bytes) == offers


@pytest.mark.parametrize("spelling", [{}, {"separators": (",", ":")}, {"indent": 1}, {"ensure_ascii": False}])
@pytest.mark.parametrize("others", [{}, {"a": [1, 2], "x": "é"}])
def test_a_batch_in_order_is_asked_for_its_bytes_only_once(spelling: dict[str, Any], others: dict[str, Any]) -> None:
    body = json.dumps({**others, "offers": ITEMS, "operation": "Insert"}, **spelling).encode()
    asked: list[int] = []

    def blocks() -> Iterator[bytes]:
        asked.append(1)
        return iter([body[start : start + 100] for start in range(0, len(body), 100)])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(array_splitter, "SPLIT_BLOCK_BYTES", 512)
        found = split(blocks, "offers", NO_BOUND)
    assert [json.loads(bytes(element)) for element in found.elements] == ITEMS
    assert len(asked) == 1


def test_elements_may_be_larger_than_the_blocks_in_which_they_come() -> None:
    large = [{"externalId": f"TP-{number}", "image": "x" * (3000 * (number % 3))} for number in range(20)]
    body = json.dumps({"offers": large}).encode()
    asked: list[int] = []

    def blocks() -> Iterator[bytes]:
        asked.append(1)
        return iter([body])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(array_splitter, "SPLIT_BLOCK_BYTES", 512)
        found = split(blocks, "offers", NO_BOUND)
    assert [json.loads(bytes(element)) for element in found.elements] == large
    assert len(asked) == 1


@pytest.mark.parametrize("others", [[], ["x", "y"]])
def test_an_element_larger_than_any_value_may_be_is_refused(others: list[str]) -> None:
    elements = [{"image": "x" * MAX_VALUE_CHARACTERS}, *({"image": other} for other in others)]
    with pytest.raises(TooLargeValue):
        split(lambda: [json.dumps({"offers": elements}).encode()], "offers", NO_BOUND)


def test_a_character_may_be_divided_by_the_border_of_two_blocks() -> None:
    body = '{"offers":[{"a":"é😀"},{"a":"😀é"}]}'.encode()
    for piece in range(1, len(body)):
        assert [json.loads(bytes(e)) for e in taken(body, 1, piece).elements] == [{"a": "é😀"}, {"a": "😀é"}]


# Bounds


@pytest.mark.parametrize("keep", [True, False])
def test_as_many_elements_as_are_wanted_are_not_too_many(keep: bool) -> None:  # noqa: FBT001
    body = json.dumps({"offers": ITEMS}).encode()
    assert split(lambda: [body], "offers", len(ITEMS), keep=keep).element_count == len(ITEMS)
    with pytest.raises(TooManyElements):
        split(lambda: [body], "offers", len(ITEMS) - 1, keep=keep)


def millions(element: bytes, size: int) -> Iterator[bytes]:
    """A body of about so many bytes, that never ends to be in order."""
    yield b'{"offers":[' + element
    block = b"," + element
    block *= 1024 * 1024 // len(block)
    yield from [block] * (size // len(block))
    yield b"]}"


@pytest.mark.parametrize("element", [b"1", b"{}", b'{"a":1}', b'{"externalId":""}'])
@pytest.mark.parametrize("megabytes", [3, 40])
def test_millions_of_tiny_elements_are_refused_in_bounded_memory(element: bytes, megabytes: int) -> None:
    size = megabytes * 1024 * 1024
    tracemalloc.start()
    try:
        with pytest.raises(TooManyElements):
            split(lambda: millions(element, size), "offers", 100_000)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    # The body twice, where it has to be read as a whole, and a block's elements.
    assert peak < 2.2 * size + 40 * 1024 * 1024
