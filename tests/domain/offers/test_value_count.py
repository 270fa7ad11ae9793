"""The values of a JSON text are counted without decoding it."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.offers import value_count
from domain.offers.value_count import has_more_values

STRINGS = st.text(alphabet='",\\[]{}:a é', max_size=6)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | STRINGS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(STRINGS, inner, max_size=4),
    max_leaves=20,
)


def count(value: Any) -> int:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return 1 + sum(map(count, inner))


@given(JSON, st.sampled_from([None, 1]), st.booleans(), st.sampled_from([1, 2, 3, 7, 65_536]))
def test_count_equals_the_number_of_decoded_values(
    value: Any, indent: int | None, is_ascii: bool, piece_bytes: int
) -> None:
    text = json.dumps(value, indent=indent, ensure_ascii=is_ascii).encode()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(value_count, "_PIECE_BYTES", piece_bytes)
        assert not has_more_values(text, count(value))
        assert has_more_values(text, count(value) - 1) or count(value) == 1


def test_separators_inside_strings_do_not_count() -> None:
    assert not has_more_values(b'["%b"]' % (b',\\"[{' * 100_000), 2)
