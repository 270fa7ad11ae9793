"""Truncated JSON is distinguished from complete and from broken JSON."""

import codecs
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.parsing.truncated_json import is_truncated

SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=8)
FILE = '{"header": {"note": "Läden, \\u00e9, 🌊\\n"}, "offers": [{"a": [-1.5e-3, 0, true, false, null]}, {}]}'.encode()


def test_every_cut_of_a_file_is_truncated() -> None:
    """The cuts are inside names, strings, escapes, characters of several bytes, numbers and literals too."""
    assert [end for end in range(len(FILE)) if not is_truncated(FILE[:end])] == []
    marked = codecs.BOM_UTF8 + FILE
    assert [end for end in range(len(marked)) if not is_truncated(marked[:end])] == []


@given(st.dictionaries(st.text(), VALUES), st.booleans(), st.data())
def test_cut_object_is_truncated_and_whole_one_is_not(
    value: dict[str, Any], ascii_only: bool, data: st.DataObject
) -> None:
    text = json.dumps(value, ensure_ascii=ascii_only).encode()
    assert not is_truncated(text)
    assert not is_truncated(text + b"\n")
    assert is_truncated(text[: data.draw(st.integers(0, len(text) - 1))])


@pytest.mark.parametrize("text", [b"", b" ", b"\r\n\t ", codecs.BOM_UTF8, codecs.BOM_UTF8 + b"\n"])
def test_nothing_but_white_space_is_truncated(text: bytes) -> None:
    assert is_truncated(text)


@pytest.mark.parametrize(
    "text",
    [
        b"All offers are in the other files.",
        b'{"header": {},, "offers": [',
        b'{"header": {}} {"header": {}}',
        b'{"header": {}}}',
        b'{"header": {]',
        b'{header: "a',
        b"{'header'",
        b'{"a": NaN, ',
        b'{"a": 01, ',
        b'{"a": "line\nbreak',
        b'{"a": "\\x',
        b'{"a": 1}\0\0',
        b"<offers>",
        b"id,name\n1,",
        FILE.decode().encode("utf-16"),
        b"\x1f\x8b\x08\x00",
        b"PK\x03\x04",
    ],
)
def test_broken_json_is_not_truncated(text: bytes) -> None:
    assert not is_truncated(text)


@pytest.mark.parametrize("depth", [65, 900, 5_000, 100_000])
def test_deep_nesting_does_not_change_the_answer(depth: int) -> None:
    whole = b'{"offers":[' + b"[" * depth + b"]" * depth + b"]}"
    assert not is_truncated(whole)
    assert is_truncated(whole[:-1])
    assert is_truncated(whole[: depth + 11])
    assert not is_truncated(whole + b"}")
