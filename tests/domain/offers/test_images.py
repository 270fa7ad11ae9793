"""Inline images stand outside of an offer's text, and come back letter by letter."""

import hashlib
import json
import time
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from domain.offers.images import MIN_LITERAL_BYTES, Image, extract, restore
from tests.support.json_texts import SPACE, TEXTS, member

LONG = MIN_LITERAL_BYTES + 10
PNG = f'"{"iVBORw0KGgo" * 30}"'


def reference(literal: str) -> str:
    return f'{{"imageDigest":"{hashlib.sha256(literal.encode()).hexdigest()}"}}'


def image(literal: str) -> Image:
    return Image(hashlib.sha256(literal.encode()).hexdigest(), literal.encode())


def offer(logo: str, rectangle: str, *more: str) -> str:
    """An offer's text with these contents, and more members."""
    assets = ",".join(
        f'"{name}": {{"type":"IMAGE","value": {{"large":{{"content":{content}}}}}}}'
        for name, content in (("logo", logo), ("largeRectangle", rectangle))
    )
    members = [*more, f'"assets" : {{{assets}}}']
    return f"{{{','.join(members)}}}"


def taken_out(text: str) -> tuple[str, tuple[Image, ...]]:
    """What `extract` makes of a text that is JSON before and after, and can be restored."""
    json.loads(text)
    rest, images = extract(text.encode())
    json.loads(rest)
    assert restore(rest, images) == text.encode()
    assert restore(rest, reversed(images)) == text.encode(), "in any order"
    return rest.decode(), images


# Sentences


def test_a_reference_stands_in_the_place_of_an_image() -> None:
    other = PNG.replace("i", "j")
    rest, images = taken_out(offer(PNG, other))
    assert rest == offer(reference(PNG), reference(other))
    assert images == (image(PNG), image(other))


def test_an_image_in_both_places_is_one_image() -> None:
    assert taken_out(offer(PNG, PNG)) == (offer(reference(PNG), reference(PNG)), (image(PNG),))


def test_a_literal_is_kept_as_it_was_spelt() -> None:
    spellings = [PNG, PNG.replace("w", r"\u0077"), PNG.replace("w", r"\/"), PNG.replace("w", r"\"\\"), f'"😀{PNG[1:]}']
    for literal in spellings:
        assert taken_out(offer(literal, "null")) == (offer(reference(literal), "null"), (image(literal),))


def test_a_short_literal_stays() -> None:
    longest = f'"{"A" * (MIN_LITERAL_BYTES - 2)}"'
    assert taken_out(offer(longest, "null")) == (offer(longest, "null"), ())
    longer = f'"A{longest[1:]}'
    assert taken_out(offer(longer, "null")) == (offer(reference(longer), "null"), (image(longer),))


def test_the_names_on_the_way_to_an_image_may_be_spelt_oddly() -> None:
    text = offer(PNG, "null").replace('"content"', r'"\u0063ontent"').replace('"assets"', r'"asset\u0073"')
    assert taken_out(text)[1] == (image(PNG),)


def test_another_value_that_is_the_same_literal_refers_to_the_image_too() -> None:
    assert taken_out(offer(PNG, "null", f'"more":[{PNG}]'))[0] == offer(
        reference(PNG), "null", f'"more":[{reference(PNG)}]'
    )


def test_a_name_that_is_the_same_literal_stays() -> None:
    more = f'"more":{{{PNG} \n:1}}'
    assert taken_out(offer(PNG, "null", more))[0] == offer(reference(PNG), "null", more)


def test_the_end_of_a_string_that_quotes_the_literal_stays() -> None:
    more = f'"more":["say \\{PNG},"say \\\\\\{PNG}]'
    assert taken_out(offer(PNG, "null", more))[0] == offer(reference(PNG), "null", more)


def test_a_literal_after_a_string_that_ends_with_a_backslash_is_an_image() -> None:
    more, to = (f'"more":["\\\\",{value}]' for value in (PNG, reference(PNG)))
    assert taken_out(offer(PNG, "null", more))[0] == offer(reference(PNG), "null", to)


@pytest.mark.parametrize("between", [f",{' ' * LONG}", f" ,{'1,' * LONG}", f"],[{'1,' * LONG}", f"}},{{{' ' * LONG}"])
def test_a_literal_that_could_stand_between_two_strings_stays(between: str) -> None:
    text = offer(f'"{between}"', "null", r'"more":[["a"]]')
    assert taken_out(text) == (text, ())


def test_what_stands_between_two_strings_is_no_image() -> None:
    literal = f'",{" " * LONG}"'
    text = offer(literal, "null", f'"more":["a{literal}b"]')
    assert json.loads(text)["more"] == ["a", "b"]
    assert taken_out(text) == (text, ())


def test_an_image_whose_reference_the_text_has_already_stays() -> None:
    text = offer(PNG, PNG, f'"more":{reference(PNG)}')
    assert taken_out(text) == (text, ())


def test_a_reference_to_another_image_is_no_obstacle_and_no_image() -> None:
    more = f'"more":{reference("another")}'
    assert taken_out(offer(PNG, "null", more)) == (offer(reference(PNG), "null", more), (image(PNG),))


@pytest.mark.parametrize(
    "text", ["{}", "[]", '"assets"', '{"assets":[]}', '{"assets":{"logo":null}}', offer(f"[{PNG}]", "7")]
)
def test_a_text_of_another_shape_has_no_images(text: str) -> None:
    assert taken_out(text) == (text, ())


def test_eight_megabytes_take_no_time() -> None:
    large, small, quotes = f'"{"A" * 4_000_000}"', f'"{"B" * LONG}"', '\\"' * 1_000_000
    texts = [
        offer(large, large.replace("A", "B")),
        offer(small, "null", f'"more":[{",".join([small] * 30_000)}]'),
        offer(small, "null", f'"more":{{{small}{" " * 8_000_000}:1}}'),
        offer(f'"{quotes}"', "null", f'"more":"x{quotes}{quotes}"'),
        offer(f'"{quotes[:LONG]}"', "null", f'"more":"x{quotes * 3}"'),
    ]
    began = time.perf_counter()
    for text in texts:
        taken_out(text)
    assert time.perf_counter() - began < 10


# Laws

LETTERS = st.sampled_from(
    ["A", "/9j+", "==", r"\/", r"\u0041", r"\"", r"\\", r"\n", "é😀", ",", ":", " ", "{", "]", "\x7f"]
)
CONTENTS = st.builds(
    lambda letters, times: f'"{"".join(letters * times)}"',
    st.lists(LETTERS, min_size=1, max_size=4),
    st.sampled_from([1, 30, MIN_LITERAL_BYTES]),
)


@st.composite
def unknown_values(draw: st.DrawFn, literals: list[str]) -> str:
    """A value that may look like an image's literal, or have one in an odd place."""
    literal = draw(st.sampled_from(literals))
    text = draw(
        st.sampled_from(
            [
                literal,
                f"[ {literal},\n{literal} ]",
                f'{{{literal} : "x"}}',
                f'{{"x" :{literal}}}',
                reference(literal),
                reference(literal).replace(":", ": "),
                json.dumps(reference(literal)),
                json.dumps(literal),
                f'"\\{literal}',
                f'["\\\\\\{literal},"\\\\",{literal}]',
                f'["a{literal}b"]',
                f'"{literal[1:-1] * 2}"',
                f'"{literal[1:-1]}\\{literal}',
            ]
        )
    )
    try:
        json.loads(text)
    except json.JSONDecodeError:
        return draw(TEXTS)  # Not every literal may stand between two strings.
    return text


@st.composite
def objects(draw: st.DrawFn, members: dict[str, str], unknown: st.SearchStrategy[str]) -> str:
    """An object with these members in some order, among unknown ones, with white space between."""
    written = [
        *members.items(),
        *((f"x{index}", value) for index, value in enumerate(draw(st.lists(unknown, max_size=2)))),
    ]
    space = draw(SPACE)
    parts = [member(f'"{name}"', space, value) for name, value in draw(st.permutations(written))]
    return f"{{{space}{f'{space},'.join(parts)}{space}}}"


@st.composite
def documents(draw: st.DrawFn) -> tuple[str, list[str]]:
    """An offer's text, and the literals in the places of its images."""
    contents = [draw(CONTENTS), draw(CONTENTS)]
    contents = draw(st.sampled_from([contents, contents[:1] * 2]))
    unknown = unknown_values(contents)
    assets = {}
    for name, content in zip(("logo", "largeRectangle"), contents, strict=True):
        large = draw(objects({"content": content}, unknown))
        value = draw(objects({"large": large}, unknown))
        assets[name] = draw(objects({"type": '"IMAGE"', "value": value}, unknown))
    return draw(objects({"offerId": '"1"', "assets": draw(objects(assets, unknown))}, unknown)), contents


def filled_in(text: str, images: tuple[Image, ...]) -> Any:
    """What a text says, with an image's content wherever one is referred to."""
    contents = {image.digest: json.loads(image.literal) for image in images}

    def fill(pairs: list[tuple[str, Any]]) -> Any:
        match pairs:
            case [("imageDigest", str(digest))] if digest in contents:
                return contents[digest]
        return pairs

    return repr(json.loads(text, object_pairs_hook=fill))


@given(documents())
def test_a_text_comes_back_as_it_was_sent(document: tuple[str, list[str]]) -> None:
    text, _ = document
    rest, images = taken_out(text)
    assert filled_in(rest, images) == filled_in(text, images)
    for found in images:
        assert found.digest == hashlib.sha256(found.literal).hexdigest()


@given(documents())
def test_every_image_is_taken_out_once_unless_its_reference_is_there(document: tuple[str, list[str]]) -> None:
    text, contents = document
    assume(r"\u" not in text.replace(r"\u0041", ""))  # Lone surrogates have been refused before.
    expected = [
        literal
        for literal in dict.fromkeys(contents)
        if len(literal.encode()) > MIN_LITERAL_BYTES and literal[1] not in " ,:]}" and reference(literal) not in text
    ]
    rest, images = taken_out(text)
    assert list(images) == [image(literal) for literal in expected]
    assert all(reference(literal) in rest for literal in expected)


@given(TEXTS)
def test_any_json_comes_back_as_it_was_sent(text: str) -> None:
    assert taken_out(text) == (text, ())
