"""A cursor leads on where its page ended; anything else is refused as one."""

import base64

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.http.pagination import InvalidCursor, decode_cursor, encode_cursor

QUESTION = {"partner": "tidepool"}


def require_refusal(cursor: str | None) -> None:
    with pytest.raises(InvalidCursor):
        decode_cursor(QUESTION, cursor)


def packed(value: object) -> str:
    return base64.urlsafe_b64encode(msgspec.msgpack.encode(value)).decode()


def test_without_a_cursor_a_list_starts_at_its_start() -> None:
    assert decode_cursor(QUESTION, None) == 0


def test_there_is_no_cursor_where_there_is_no_next_page() -> None:
    assert encode_cursor(QUESTION, None) is None


@given(st.integers(0, 2**53 - 1))
def test_a_cursor_leads_to_its_place(after: int) -> None:
    assert decode_cursor(QUESTION, encode_cursor(QUESTION, after)) == after


def test_a_cursor_of_another_question_is_refused() -> None:
    require_refusal(encode_cursor({"partner": "harbor"}, 5))


@pytest.mark.parametrize("after", [-1, 2**53, 2**64 - 1])
def test_a_place_that_no_list_has_is_refused(after: int) -> None:
    require_refusal(encode_cursor(QUESTION, after))


@pytest.mark.parametrize(
    "value", [None, 1, "x", [], ["x"], ["x", "y"], [1, 1], {"question": "x", "after": 1}, [["x", 1]]]
)
def test_what_is_packed_otherwise_is_refused(value: object) -> None:
    require_refusal(packed(value))


@given(st.text(max_size=256) | st.binary(max_size=190).map(lambda raw: base64.urlsafe_b64encode(raw).decode()))
def test_any_other_text_is_refused(text: str) -> None:
    require_refusal(text)
