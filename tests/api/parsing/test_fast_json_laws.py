"""Laws: the fast parser and the strict parser give the same result for every element."""

import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from api.parsing.fast_json import read_element
from api.parsing.strict_json import MAX_NESTING, Element, NotJson, read_strictly
from tests.support.json_texts import NOT_JSON, SCALARS, TEXTS

NESTED = st.builds(
    lambda levels, inner, beside: _nested("".join(levels), inner, beside),
    st.lists(st.sampled_from("[{"), min_size=MAX_NESTING - 4, max_size=MAX_NESTING + 6),
    SCALARS,
    st.sampled_from(["", "[[[]]]", '"{{{"', "1"]),
)


def _nested(levels: str, inner: str, beside: str) -> str:
    """Returns the text of a nested value. `beside` is a sibling of the outermost container."""
    text = inner
    for opening in reversed(levels):
        text = f"[{text}]" if opening == "[" else f'{{"a":{text}}}'
    return f"[{text},{beside}]" if beside else text


def result_of(read: Element) -> tuple[str, list[str]]:
    # As text, because True == 1 and 1 == 1.0 and 0.0 == -0.0.
    return repr(read.value), [str(invalid) for invalid in read.invalid_values]


@given(TEXTS | NESTED)
@example('{"a":1,"a":1}')
@example(r'{"a":1,"\u0061":2}')
@example('{"a" :1,"a":2}')
@example('{"a"\r:1,"b":{"a"\t:1}}')
@example(r'{"a\":":1,"b":2}')
@example(r'{"a":"\":","a":2}')
@example('{":":":"}')
@example("10.0")
@example("[-0.0, -0, 0.0]")
@example("9007199254740993.0")
@example('{"a":[1e400]}')
@example(r'"\u0000"')
@example(r'"\\u0000"')
@example(r'["\ud800", "\ud83d\ude00", "\udfff"]')
@example('{"a":{}, "b":[{"c":[]}]}')
def test_both_parsers_give_the_same_result(text: str) -> None:
    assert result_of(read_element(text.encode())) == result_of(read_strictly(text.encode()))


@pytest.mark.parametrize("depth", range(MAX_NESTING - 4, MAX_NESTING + 7))
@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"a":', "}"), ('[{"a":', "}]")])
def test_both_parsers_measure_nesting_alike(depth: int, opening: str, closing: str) -> None:
    levels = depth // 2 if opening.startswith("[{") else depth
    text = (opening * levels + "1" + closing * levels).encode()
    assert result_of(read_element(text)) == result_of(read_strictly(text))


@given(TEXTS, st.data())
def test_both_parsers_refuse_the_same_texts(text: str, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(text)))
    broken = text[:at] + data.draw(st.sampled_from([*NOT_JSON, ",", ":", "]", "}", '"', "\\", "\f"])) + text[at:]
    try:
        expected = result_of(read_strictly(broken.encode()))
    except NotJson:
        with pytest.raises(NotJson):
            read_element(broken.encode())
    else:
        assert result_of(read_element(broken.encode())) == expected


@given(TEXTS)
def test_valid_value_is_that_of_the_standard_json_module(text: str) -> None:
    read = read_element(text.encode())
    if not read.invalid_values:
        assert read.value == json.loads(text)


@pytest.mark.parametrize(
    "text", [b"\xff", b'"\xff"', b'"\xed\xa0\x80"', b'{"a":"\xc0\xaf"}', b'{"\xe2\x82":1}', b"\xef\xbb\xbf1"]
)
def test_element_must_be_utf8(text: bytes) -> None:
    with pytest.raises(NotJson):
        read_element(text)
