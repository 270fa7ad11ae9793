"""Strict parsing of JSON, and the values that may not be stored."""

import tracemalloc
from typing import Any

import pytest

from api.parsing.fast_json import read_element
from api.parsing.nesting import MAX_NESTING
from api.parsing.streaming.envelope_reader import split_envelope
from api.parsing.strict_json import (
    DUPLICATE_NAME,
    MAX_NUMBER,
    NUMBER_RANGE,
    TOO_DEEP,
    Element,
    NotAnObject,
    NotJson,
)
from api.validation.characters import LONE_SURROGATE, NULL_CHARACTER
from api.validation.field_errors import InvalidField

INVALID_NAME = "member names must not contain U+0000 or lone surrogates"


def read(text: str) -> Element:
    """Parses a text as the only element of a list."""
    (only,) = split_envelope([f'{{"offers":[{text}]}}'.encode()], "offers").elements
    return read_element(bytes(only))


def invalid_fields(text: str) -> list[tuple[str, str]]:
    return [(InvalidField(("x", *field.place), "").path, field.message) for field in read(text).invalid_values]


def arrays(depth: int) -> str:
    return "[" * depth + "]" * depth


def objects(depth: int) -> str:
    return '{"a":' * (depth - 1) + "{}" + "}" * (depth - 1)


# Not JSON


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b" \n",
        b"nonsense",
        b"{",
        b'{"a"',
        b'{"a":',
        b'{"a":1',
        b'{"offers":[',
        b'{"offers":[{"a":1}',
        b'{"offers":[1]]}',
        b'{"offers":[}',
        b'{"offers":[1}',
        b'{"a":1,}',
        b'{"offers":[1,]}',
        b'{"offers":[,1]}',
        b'{"offers":[{"a":1,}]}',
        b'{"offers":[1 2]}',
        b'{"a":1 "b":2}',
        b'{"a" 1}',
        b"{a:1}",
        b"{'a':1}",
        b"{1:1}",
        b'{"a":1}{}',
        b'{"a":1} x',
        b"[] []",
        b'{"a":1} // said',
        b'{"a":tru}',
        b'{"a":True}',
        b'{"a":"\\x41"}',
        b'{"a":"\\u12"}',
        b'{"a":"\n"}',
        b'{"a":"\x00"}',
        b'{"a":"open}',
    ],
)
def test_text_outside_the_grammar_is_not_json(body: bytes) -> None:
    with pytest.raises(NotJson):
        split_envelope([body], "offers")


@pytest.mark.parametrize("number", ["01", "-01", "+1", ".5", "1.", "1e", "0x10", "1_000", "-", "٣"])
def test_number_outside_the_grammar_is_not_json(number: str) -> None:
    with pytest.raises(NotJson):
        read(number)


@pytest.mark.parametrize("word", ["NaN", "Infinity", "-Infinity"])
@pytest.mark.parametrize("document", ['{"offers":[{"a":%s}]}', '{"a":%s}', "[%s]"])
def test_nan_and_infinity_are_not_json(document: str, word: str) -> None:
    with pytest.raises(NotJson):
        split_envelope([(document % word).encode()], "offers")


@pytest.mark.parametrize("space", ["\f", "\v", "\u00a0", "\u2028", "\ufeff"])
def test_only_json_whitespace_may_separate_values(space: str) -> None:
    with pytest.raises(NotJson):
        split_envelope([f'{{"a":{space}1}}'.encode()], "offers")


@pytest.mark.parametrize(
    "body",
    [
        b'{"a":"\xff"}',
        b'{"a":"\xc0\xaf"}',
        b'{"a":"\xed\xa0\x80"}',
        b'{"a":"\xf4\x90\x80\x80"}',
        b'{"a":"\xe2\x82"}',
        '{"a":1}'.encode("utf-16"),
        '{"a":"é"}'.encode("latin-1"),
        b'\xef\xbb\xbf{"a":1}',
    ],
    ids=["stray byte", "overlong", "surrogate", "beyond unicode", "cut off", "utf-16", "latin-1", "byte order mark"],
)
def test_body_must_be_plain_utf8(body: bytes) -> None:
    with pytest.raises(NotJson):
        split_envelope([body], "offers")


def test_truncated_document_is_not_json() -> None:
    whole = b'{"operation": "Insert", "offers": [{"a": [1, 2.5e1, "x\\u00e9"]}, {}], "more": {"b": null}}'
    for length in range(len(whole)):
        with pytest.raises(NotJson):
            split_envelope([whole[:length]], "offers")


@pytest.mark.parametrize(
    "body",
    [
        b'{"a":1,"a":1}',
        b'{"a":1,"\\u0061":2}',
        b'{"offers":[],"offers":[]}',
        b'{"offers":[1],"b":1,"offers":2}',
        b'{"a":{"b":1,"b":2}}',
        b'{"offers":{"b":1,"b":2}}',
        b'{"a":[[{"b":1,"b":2}]]}',
    ],
)
def test_duplicate_name_in_the_envelope_is_not_json(body: bytes) -> None:
    with pytest.raises(NotJson):
        split_envelope([body], "offers")


@pytest.mark.parametrize("nested", [arrays, objects])
def test_envelope_may_nest_up_to_64_levels(nested: Any) -> None:
    assert split_envelope([b'{"a":%b}' % nested(MAX_NESTING - 1).encode()], "offers").members["a"]
    with pytest.raises(NotJson):
        split_envelope([b'{"a":%b}' % nested(MAX_NESTING).encode()], "offers")


@pytest.mark.parametrize("depth", [MAX_NESTING, 900, 9_000, 100_000])
@pytest.mark.parametrize("nested", [arrays, objects])
def test_envelope_nested_too_deeply_is_not_json(nested: Any, depth: int) -> None:
    with pytest.raises(NotJson, match=TOO_DEEP):
        split_envelope([b'{"a":%b,"offers":[1]}' % nested(depth).encode()], "offers")


@pytest.mark.parametrize("depth", [MAX_NESTING + 1, 900, 9_000, 100_000])
@pytest.mark.parametrize("nested", [arrays, objects])
def test_element_nested_too_deeply_is_invalid(nested: Any, depth: int) -> None:
    text = nested(depth)
    deep, shallow = split_envelope([f'{{"offers":[{text}, 7]}}'.encode()], "offers").elements
    assert (bytes(deep).decode(), bytes(shallow)) == (text, b"7")
    assert [message for _, message in invalid_fields(text)] == [TOO_DEEP]


@pytest.mark.parametrize("text", ['{"a":"[[[", "b":"\\"{{{"}', '{"a":[1],"b":[{"c":[]}]}'])
def test_brackets_in_strings_and_siblings_are_not_nesting(text: str) -> None:
    assert invalid_fields("[" + ",".join([text] * 100) + "]") == []


def test_error_after_a_deep_value_names_its_place() -> None:
    with pytest.raises(NotJson, match="line 2, column 4"):
        split_envelope([f'{{"offers":[{arrays(9_000)},\n1, x]}}'.encode()], "offers")


def test_error_names_the_place_but_not_the_text() -> None:
    with pytest.raises(NotJson) as error:
        split_envelope([b'{"offers":\n [confidential]}'], "offers")
    assert "line 2, column 3" in str(error.value)
    assert "confidential" not in str(error.value)


# Valid JSON


@pytest.mark.parametrize("body", [b"[]", b'[{"offers":[]}]', b'"offers"', b"1", b" 0.5 ", b"null", b"true", b"1e400"])
def test_json_that_is_not_an_object_has_its_own_error(body: bytes) -> None:
    with pytest.raises(NotAnObject):
        split_envelope([body], "offers")


@pytest.mark.parametrize(
    ("body", "members", "elements"),
    [
        (b"{}", {}, []),
        (b' \t\r\n{ "a" : 1 } ', {"a": 1}, []),
        (b'{"offers":[]}', {"offers": []}, []),
        (b'{"offers":[ 1 , null ]}', {"offers": []}, [1, None]),
        (b'{"offers":{"a":1}}', {"offers": {"a": 1}}, []),
        (b'{"a":{"offers":[1]},"offers":[2]}', {"a": {"offers": [1]}, "offers": []}, [2]),
    ],
)
def test_envelope_has_the_members_and_the_elements(body: bytes, members: dict[str, Any], elements: list[Any]) -> None:
    envelope = split_envelope([body], "offers")
    values = [read_element(bytes(element)).value for element in envelope.elements]
    assert (envelope.members, values) == (members, elements)


@pytest.mark.parametrize(
    ("sent", "canonical"),
    [
        ("10.0", "10"),
        ("1e2", "100"),
        ("-0", "0"),
        ("-0.0", "0"),
        ("1.50", "1.5"),
        ("1e-7", "1e-07"),
        ("9007199254740991.0", "9007199254740991"),
    ],
)
def test_number_has_one_canonical_form(sent: str, canonical: str) -> None:
    assert repr(read(sent).value) == canonical


# Values that may not be stored


@pytest.mark.parametrize(
    "number",
    [
        "9007199254740992",
        "-9007199254740992",
        "9007199254740992.0",
        "1e16",
        "1e400",
        "-1e400",
        "1" * 5000,
        "-" + "9" * 5000,
        "1" * 5000 + ".5",
    ],
    ids=lambda number: number[:20],
)
def test_number_out_of_range_is_invalid(number: str) -> None:
    assert invalid_fields(number) == [("x", NUMBER_RANGE)]


@pytest.mark.parametrize("number", [MAX_NUMBER, -MAX_NUMBER])
def test_largest_numbers_are_exact(number: int) -> None:
    assert read(str(number)).value == number
    assert invalid_fields(str(number)) == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (r'"\u0000"', [("x", NULL_CHARACTER)]),
        (r'{"a":"end\u0000"}', [("x.a", NULL_CHARACTER)]),
        (r'"\ud800"', [("x", LONE_SURROGATE)]),
        (r'["ok","\udfff"]', [("x[1]", LONE_SURROGATE)]),
        (r'"\ude00\ud83d"', [("x", LONE_SURROGATE)]),
        (r'{"\u0000":1}', [("x", INVALID_NAME)]),
        (r'{"a":{"b\ud800":1}}', [("x.a", INVALID_NAME)]),
        (r'"\ud83d\ude00"', []),
        (r'"\u0001\u007f\uffff"', []),
    ],
)
def test_characters_that_cannot_be_stored_are_invalid(text: str, expected: list[tuple[str, str]]) -> None:
    assert invalid_fields(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"a":1,"a":1}', [("x.a", DUPLICATE_NAME)]),
        (r'{"a":1,"\u0061":2}', [("x.a", DUPLICATE_NAME)]),
        ('{"a":[{"b":1,"c":2,"b":3}]}', [("x.a[0].b", DUPLICATE_NAME)]),
        ('{"a":1,"b":1,"a":2,"b":2}', [("x.a", DUPLICATE_NAME), ("x.b", DUPLICATE_NAME)]),
        ('[{"a":1},{"a":2}]', []),
    ],
)
def test_duplicate_name_in_an_element_is_invalid(text: str, expected: list[tuple[str, str]]) -> None:
    assert invalid_fields(text) == expected


@pytest.mark.parametrize("nested", [arrays, objects])
def test_element_may_nest_up_to_64_levels(nested: Any) -> None:
    assert invalid_fields(nested(MAX_NESTING)) == []
    assert [message for _, message in invalid_fields(nested(MAX_NESTING + 1))] == [TOO_DEEP]


@pytest.mark.parametrize(("one", "other"), [("1e400", "2e400"), ('{"a":1,"a":2}', '{"a":1,"a":3}')])
def test_element_bytes_are_kept_as_sent(one: str, other: str) -> None:
    elements = split_envelope([f'{{"offers":[{one}, 1, {other}]}}'.encode()], "offers").elements
    assert [bytes(element).decode() for element in elements] == [one, "1", other]


def test_duplicate_names_at_every_level_use_proportional_memory() -> None:
    text = "1"
    for _ in range(16):
        text = f'{{"a":1,"a":{text}}}'
    tracemalloc.start()
    read(text)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1000 * len(text)
