"""Laws: every body is either parsed as by the standard JSON module, or refused."""

import json
from contextlib import suppress
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from api.parsing.fast_json import read_element
from api.parsing.nesting import blank_too_deep
from api.parsing.streaming.envelope_reader import split_envelope
from api.parsing.strict_json import MAX_NUMBER, NotAnObject, NotJson, read_strictly

NUMBERS = st.integers(-MAX_NUMBER, MAX_NUMBER) | st.floats(-MAX_NUMBER, MAX_NUMBER)
TREES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | NUMBERS | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
SPACES = st.none() | st.integers(0, 3) | st.sampled_from(["\t", "\r\n"])
TOKENS = ["{", "}", "[", "]", ":", ",", '"offers"', '"a"', '"\\u', "1", "-", "1e999", "null", "NaN", " ", "\x00", "é"]


def _canonical_number(number: str) -> int | float:
    value = float(number)
    return int(value) if value.is_integer() else value


@given(st.lists(TREES, max_size=4), st.dictionaries(st.text(), TREES, max_size=3), SPACES, st.booleans())
def test_elements_are_parsed_as_by_the_json_module(
    offers: list[Any],
    others: dict[str, Any],
    indent: int | str | None,
    first: bool,
) -> None:
    others.pop("offers", None)
    document = {"offers": offers, **others} if first else {**others, "offers": offers}
    text = json.dumps(document, indent=indent)
    envelope = split_envelope([text.encode()], "offers")
    expected = json.loads(text, parse_float=_canonical_number)
    # As text, because True == 1 and 1 == 1.0.
    read = [read_element(bytes(element)).value for element in envelope.elements]
    assert json.dumps(read) == json.dumps(expected["offers"])
    assert json.dumps(envelope.members | {"offers": None}) == json.dumps(expected | {"offers": None})


@given(st.binary() | st.lists(st.sampled_from(TOKENS)).map(lambda tokens: "".join(tokens).encode()))
def test_any_bytes_are_parsed_or_refused(body: bytes) -> None:
    with suppress(NotJson, NotAnObject):
        split_envelope([body], "offers")


# Deep nesting

NESTED_PIECES = st.sampled_from(
    ["[", "{", '{"a":', "]", "}", '"[\\"{"', '"', "\\", "1", ",", ":", "\n", "[" * 70, "]" * 70, "[" * 3000, "]" * 3000]
)
NESTED_TEXTS = st.lists(NESTED_PIECES, max_size=30).map("".join)


def read(body: bytes) -> None:
    with suppress(NotJson):
        read_strictly(body)


def split(body: bytes) -> None:
    with suppress(NotJson, NotAnObject):
        split_envelope([body], "offers")


@given(NESTED_TEXTS)
def test_any_nesting_is_read_or_refused(text: str) -> None:
    for body in (text, f"[{text}]", f'{{"offers":[{text}]}}', f'{{"x":{text}}}'):
        read(body.encode())
        split(body.encode())


@given(NESTED_TEXTS | st.lists(st.sampled_from(TOKENS), max_size=9).map("".join))
def test_every_element_that_is_split_can_be_read(text: str) -> None:
    elements = []
    with suppress(NotJson, NotAnObject):
        elements = split_envelope([f'{{"offers":[{text}]}}'.encode()], "offers").elements
    for element in elements:
        read_element(bytes(element))


@given(NESTED_TEXTS)
def test_blanked_text_is_shallow_and_keeps_its_lines(text: str) -> None:
    shallow = blank_too_deep(text)
    assert [len(line) for line in shallow.split("\n")] == [len(line) for line in text.split("\n")]
    assert blank_too_deep(shallow) == shallow
