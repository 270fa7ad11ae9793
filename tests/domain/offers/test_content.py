"""Tests of the comparison of contents: canonical form, digests and changed fields."""

from typing import Any

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from domain.offers.content import Content, FieldChange, canonical, changed_fields, digest, normal_form
from tests.support.examples import offer_data

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


def reordered(value: Any) -> Any:
    """Returns the same JSON value with its members in reverse order."""
    if isinstance(value, dict):
        return {name: reordered(value[name]) for name in reversed(list(value))}
    if isinstance(value, list):
        return [reordered(element) for element in value]
    return value


@st.composite
def altered(draw: st.DrawFn, value: Any) -> Any:
    """Draws a value that is equal, or differs in one scalar, member or element."""
    if isinstance(value, dict) and value and draw(st.booleans()):
        name = draw(st.sampled_from(sorted(value)))
        return {**value, name: draw(altered(value[name]))}
    if isinstance(value, list) and value and draw(st.booleans()):
        index = draw(st.integers(0, len(value) - 1))
        return [*value[:index], draw(altered(value[index])), *value[index + 1 :]]
    if isinstance(value, dict):
        return draw(st.sampled_from([value, {**value, "more": None}, {**value, "more": 0}]))
    if isinstance(value, list):
        return draw(st.sampled_from([value, value[:-1], [*value, None], [*value, False], [*value, 0]]))
    return draw(st.just(value) | st.sampled_from([None, True, 1, "1"]))


pairs = contents.flatmap(lambda content: st.tuples(st.just(content), altered(content)))


@given(values)
def test_canonical_form_is_that_of_rfc_8785(value: Any) -> None:
    assert canonical(value) == rfc8785.dumps(value)


@pytest.mark.parametrize("number", [1e-4, 1e-5, 1.5e-5, -1e-6, 1.25e-6, 9.9e-7, -1e-7, 1.5e-10, 5e-324, 0.1, 2.5])
def test_canonical_form_spells_tiny_numbers_as_in_rfc_8785(number: float) -> None:
    assert canonical([number, "3e-4"]) == rfc8785.dumps([number, "3e-4"])


def test_canonical_form_orders_names_as_in_rfc_8785() -> None:
    content = {"\ufb33": 1, "\U0001f600": 2, "e": 3, "\u20ac": 4}
    assert canonical(content) == rfc8785.dumps(content)


def test_digest_never_changes() -> None:
    content = offer_data(revenue=1e-7, offerEvents=[], name="Grüße 😀")
    assert digest(content) == "f752d05afa8666cfe85d1d469e56452fefdbaff63751350322fda3ee3936c7d2"


@given(pairs)
def test_digests_are_equal_exactly_when_rfc_8785_forms_are(pair: tuple[Content, Content]) -> None:
    one, other = pair
    is_same = rfc8785.dumps(normal_form(one)) == rfc8785.dumps(normal_form(other))
    assert (digest(one) == digest(other)) is is_same


@given(contents)
def test_digest_ignores_the_order_of_members(content: Content) -> None:
    assert digest(reordered(content)) == digest(content)


@given(contents)
def test_digest_ignores_null_members(content: Content) -> None:
    assert digest({**content, "absent": None}) == digest({n: v for n, v in content.items() if n != "absent"})


@pytest.mark.parametrize("events", [None, []])
def test_digest_ignores_null_and_empty_offer_events(events: Any) -> None:
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
def test_different_contents_have_different_digests(one: Content, other: Content) -> None:
    assert digest(one) != digest(other)


@given(pairs)
def test_fields_change_if_and_only_if_the_digest_does(pair: tuple[Content, Content]) -> None:
    one, other = pair
    assert (changed_fields(one, other) == []) is (digest(one) == digest(other))


@pytest.mark.parametrize(
    ("before", "after", "changes"),
    [
        ({"a": 1}, {"a": 2}, [("/a", 1, 2)]),
        ({"a": {"b": [1, 2]}}, {"a": {"b": [1, 3]}}, [("/a/b/1", 2, 3)]),
        ({"a": [1]}, {"a": [1, 2]}, [("/a/1", None, 2)]),
        ({"a": [1, 2]}, {"a": [1]}, [("/a/1", 2, None)]),
        ({"a": [1]}, {"a": [1, None]}, [("/a/1", None, None)]),
        ({"a": 1}, {}, [("/a", 1, None)]),
        ({"a": 1}, {"a": True}, [("/a", 1, True)]),
        ({"a": {"b": 1}}, {"a": [1]}, [("/a", {"b": 1}, [1])]),
        ({"a/b~c": 1}, {"a/b~c": 2}, [("/a~1b~0c", 1, 2)]),
        ({"a": None}, {}, []),
    ],
)
def test_changed_fields_have_pointers_to_the_differences(
    before: Content, after: Content, changes: list[tuple[str, Any, Any]]
) -> None:
    assert changed_fields(before, after) == [FieldChange(*change) for change in changes]


def test_changed_fields_reports_an_absent_content_as_a_whole() -> None:
    assert changed_fields(None, {"a": None}, "/content") == [FieldChange("/content", None, {"a": None})]


@pytest.mark.parametrize("count", [200, 201, 3_000])
def test_order_of_many_names_makes_no_difference(count: int) -> None:
    names = {f"é{number}\uffff"[: 1 + number % 7] + str(number) for number in range(count)}
    ordered, reverse = ({name: {"b": 1, "a": 0.5} for name in each} for each in (sorted(names), sorted(names)[::-1]))
    expected = b",".join(b'"%b":{"a":0.5,"b":1}' % name.encode() for name in sorted(names))
    assert canonical({"x": ordered}) == canonical({"x": reverse}) == b'{"x":{%b}}' % expected
