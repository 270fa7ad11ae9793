"""White space between two tokens is bounded while a body arrives."""

import json
import re
from http import HTTPStatus
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.http.problems import Problem
from api.parsing.streaming.white_space import WhiteSpaceBound

MOST = 3
STRINGS = st.text(alphabet='"\\ \ta', max_size=8)
JSON = st.recursive(STRINGS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(STRINGS, inner, max_size=3))
TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[^\s"]+')


def is_refused(text: bytes, piece_bytes: int, most: int = MOST) -> bool:
    bound = WhiteSpaceBound(most)
    try:
        for at in range(0, len(text), piece_bytes):
            bound.check(text[at : at + piece_bytes])
    except Problem as problem:
        return problem.status == HTTPStatus.BAD_REQUEST
    return False


@given(JSON, st.integers(0, 2 * MOST), st.integers(0, 2 * MOST), st.integers(1, 9))
def test_longest_white_space_outside_strings_decides(value: Any, indent: int, spaces: int, piece_bytes: int) -> None:
    text = json.dumps(value, indent=indent, separators=("," + " " * spaces, ":")) + "\n" * spaces
    longest = max(map(len, TOKEN.split(text)))
    assert is_refused(text.encode(), piece_bytes) == (longest > MOST)


@pytest.mark.parametrize("white_space", [b" ", b"\t", b"\r\n"])
def test_bound_holds_for_any_size_of_the_pieces(white_space: bytes) -> None:
    most = 200_000
    for length, expected in ((most, False), (most + 1, True)):
        run = (white_space * (most + 1))[:length]
        assert is_refused(b'{"a":%b1}' % run, 65_536, most) is expected
        assert is_refused(b'{"a":%b1}' % run, 1_000_000, most) is expected
        assert not is_refused(b'{"a":"%b"}' % run, 65_536, most)
