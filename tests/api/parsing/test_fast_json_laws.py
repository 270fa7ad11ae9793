"""Laws: the fast parser and the strict parser give the same result for every element."""

import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from api.parsing.fast_json import read_element
from api.parsing.nesting import MAX_NESTING
from api.parsing.strict_json import NUMBER_RANGE, Element, NotJson, read_strictly
from api.validation.field_errors import MAX_FIELD_ERRORS
from api.validation.known_members import UNKNOWN, KnownMembers
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


KNOWN = st.none() | st.just(KnownMembers(frozenset({"a"}), {"a": KnownMembers(frozenset({"b"}))}))
"""A model that knows two of the odd names: `a`, and `b` inside it."""


@given(TEXTS | NESTED, KNOWN)
@example('{"a":1,"a":1}', None)
@example(r'{"a":1,"\u0061":2}', None)
@example('{"a" :1,"a":2}', None)
@example('{"a"\r:1,"b":{"a"\t:1}}', None)
@example(r'{"a\":":1,"b":2}', None)
@example(r'{"a":"\":","a":2}', None)
@example('{":":":"}', None)
@example("10.0", None)
@example("[-0.0, -0, 0.0]", None)
@example("9007199254740993.0", None)
@example('{"a":[1e400]}', None)
@example(r'"\u0000"', None)
@example(r'"\\u0000"', None)
@example(r'["\ud800", "\ud83d\ude00", "\udfff"]', None)
@example('{"a":{}, "b":[{"c":[]}]}', None)
@example('{"a":9007199254740993,"b":9007199254740993}', KnownMembers(frozenset("a")))
def test_both_parsers_give_the_same_result(text: str, known: KnownMembers | None) -> None:
    assert result_of(read_element(text.encode(), known)) == result_of(read_strictly(text.encode(), known))


@given(TEXTS)
def test_known_members_decide_only_about_large_integers(text: str) -> None:
    everywhere, nowhere = (read_strictly(text.encode(), known) for known in (None, UNKNOWN))
    assert repr(everywhere.value) == repr(nowhere.value)
    if len(everywhere.invalid_values) <= MAX_FIELD_ERRORS:
        assert set(nowhere.invalid_values) <= set(everywhere.invalid_values)
        refused = set(everywhere.invalid_values) - set(nowhere.invalid_values)
        assert {invalid.message for invalid in refused} <= {NUMBER_RANGE}


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
