"""When contents are the same, and where they differ."""

import json
from typing import Any

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from domain.content import Content, FieldChange, canonical, changed_fields, digest, normal_form
from tests.examples import offer_data

SAFE = 2**53 - 1
scalars = (
    st.none()
    | st.booleans()
    | st.integers(-SAFE, SAFE)
    | st.floats(-SAFE, SAFE, allow_nan=False).filter(lambda number: not number.is_integer())
    | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=5)
)
names = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=3)
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3), max_leaves=8
)
contents = st.dictionaries(names, values, max_size=4)


def respelt(value: Any) -> Any:
    """The same JSON value with its members in another order and its integers as floats."""
    if isinstance(value, dict):
        return {name: respelt(value[name]) for name in reversed(list(value))}
    if isinstance(value, list):
        return [respelt(element) for element in value]
    return value


@given(contents, contents)
def test_contents_have_one_digest_exactly_when_rfc_8785_spells_them_the_same(one: Content, other: Content) -> None:
    same = rfc8785.dumps(normal_form(one)) == rfc8785.dumps(normal_form(other))
    assert (digest(one) == digest(other)) is same


@given(contents)
def test_the_order_of_members_makes_no_difference(content: Content) -> None:
    assert digest(respelt(content)) == digest(content)


@given(contents)
def test_the_canonical_form_says_what_the_normal_form_says(content: Content) -> None:
    assert json.loads(canonical(content)) == normal_form(content)


@given(contents)
def test_a_null_member_is_the_same_as_an_absent_one(content: Content) -> None:
    assert digest({**content, "absent": None}) == digest({n: v for n, v in content.items() if n != "absent"})


@pytest.mark.parametrize("events", [None, []])
def test_no_events_are_the_same_however_they_are_told(events: Any) -> None:
    assert digest(offer_data(offerEvents=events)) == digest(offer_data())


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"a": 1}, {"a": True}),
        ({"a": 0}, {"a": False}),
        ({"a": "1"}, {"a": 1}),
        ({"a": []}, {"a": {}}),
        ({"a": ""}, {}),
        ({"a": [None]}, {"a": []}),
        ({"a": "é"}, {"a": "e\u0301"}),
        ({"creatives": []}, {}),
    ],
)
def test_other_contents_have_other_digests(one: Content, other: Content) -> None:
    assert digest(one) != digest(other)


@given(contents, contents)
def test_fields_differ_exactly_when_the_digests_do(one: Content, other: Content) -> None:
    assert (changed_fields(one, other) == []) is (digest(one) == digest(other))


@pytest.mark.parametrize(
    ("before", "after", "changes"),
    [
        ({"a": 1}, {"a": 2}, [("/a", 1, 2)]),
        ({"a": {"b": [1, 2]}}, {"a": {"b": [1, 3]}}, [("/a/b/1", 2, 3)]),
        ({"a": [1]}, {"a": [1, 2]}, [("/a/1", None, 2)]),
        ({"a": [1, 2]}, {"a": [1]}, [("/a/1", 2, None)]),
        ({"a": 1}, {}, [("/a", 1, None)]),
        ({"a": 1}, {"a": True}, [("/a", 1, True)]),
        ({"a": {"b": 1}}, {"a": [1]}, [("/a", {"b": 1}, [1])]),
        ({"a/b~c": 1}, {"a/b~c": 2}, [("/a~1b~0c", 1, 2)]),
        ({"a": None}, {}, []),
    ],
)
def test_differences_are_told_where_they_are(
    before: Content, after: Content, changes: list[tuple[str, Any, Any]]
) -> None:
    assert changed_fields(before, after) == [FieldChange(*change) for change in changes]


def test_a_content_that_was_not_there_differs_as_a_whole() -> None:
    assert changed_fields(None, {"a": None}, "/content") == [FieldChange("/content", None, {"a": None})]
