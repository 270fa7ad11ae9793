"""A cursor continues its list at the end of its page. Any other text is refused."""

import base64

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.http.pagination import InvalidCursor, decode_cursor, encode_cursor

FILTERS = {"partner": "tidepool"}


def assert_refused(cursor: str | None) -> None:
    with pytest.raises(InvalidCursor):
        decode_cursor(FILTERS, cursor)


def packed(value: object) -> str:
    return base64.urlsafe_b64encode(msgspec.msgpack.encode(value)).decode()


def test_list_without_a_cursor_starts_at_0() -> None:
    assert decode_cursor(FILTERS, None) == 0


def test_last_page_has_no_cursor() -> None:
    assert encode_cursor(FILTERS, None) is None


@given(st.integers(0, 2**53 - 1))
def test_cursor_decodes_to_its_place(after: int) -> None:
    assert decode_cursor(FILTERS, encode_cursor(FILTERS, after)) == after


def test_cursor_of_other_filters_is_refused() -> None:
    assert_refused(encode_cursor({"partner": "harbor"}, 5))


@pytest.mark.parametrize("after", [-1, 2**53, 2**64 - 1])
def test_place_out_of_range_is_refused(after: int) -> None:
    assert_refused(encode_cursor(FILTERS, after))


@pytest.mark.parametrize(
    "value", [None, 1, "x", [], ["x"], ["x", "y"], [1, 1], {"question": "x", "after": 1}, [["x", 1]]]
)
def test_other_packed_values_are_refused(value: object) -> None:
    assert_refused(packed(value))


@given(st.text(max_size=256) | st.binary(max_size=190).map(lambda raw: base64.urlsafe_b64encode(raw).decode()))
def test_other_texts_are_refused(text: str) -> None:
    assert_refused(text)
