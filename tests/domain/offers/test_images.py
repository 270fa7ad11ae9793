"""Tests of the separate storage of inline images, and of the exact restoration of texts."""

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
    """Returns an offer's text with these image contents and more members."""
    assets = ",".join(
        f'"{name}": {{"type":"IMAGE","value": {{"large":{{"content":{content}}}}}}}'
        for name, content in (("logo", logo), ("largeRectangle", rectangle))
    )
    members = [*more, f'"assets" : {{{assets}}}']
    return f"{{{','.join(members)}}}"


def extracted(text: str) -> tuple[str, tuple[Image, ...]]:
    """Returns the result of `extract`, and checks that both texts are JSON and that the original can be restored."""
    json.loads(text)
    short, images = extract(text.encode())
    json.loads(short)
    assert restore(short, images) == text.encode()
    assert restore(short, reversed(images)) == text.encode(), "in any order"
    return short.decode(), images


# Examples


def test_extract_replaces_images_by_references() -> None:
    other = PNG.replace("i", "j")
    short, images = extracted(offer(PNG, other))
    assert short == offer(reference(PNG), reference(other))
    assert images == (image(PNG), image(other))


def test_extract_returns_equal_images_once() -> None:
    assert extracted(offer(PNG, PNG)) == (offer(reference(PNG), reference(PNG)), (image(PNG),))


def test_extract_keeps_the_spelling_of_a_literal() -> None:
    spellings = [PNG, PNG.replace("w", r"\u0077"), PNG.replace("w", r"\/"), PNG.replace("w", r"\"\\"), f'"😀{PNG[1:]}']
    for literal in spellings:
        assert extracted(offer(literal, "null")) == (offer(reference(literal), "null"), (image(literal),))


def test_extract_leaves_short_literals() -> None:
    longest = f'"{"A" * (MIN_LITERAL_BYTES - 2)}"'
    assert extracted(offer(longest, "null")) == (offer(longest, "null"), ())
    longer = f'"A{longest[1:]}'
    assert extracted(offer(longer, "null")) == (offer(reference(longer), "null"), (image(longer),))


def test_extract_reads_escaped_member_names() -> None:
    text = offer(PNG, "null").replace('"content"', r'"\u0063ontent"').replace('"assets"', r'"asset\u0073"')
    assert extracted(text)[1] == (image(PNG),)


def test_extract_replaces_all_values_with_the_same_literal() -> None:
    assert extracted(offer(PNG, "null", f'"more":[{PNG}]'))[0] == offer(
        reference(PNG), "null", f'"more":[{reference(PNG)}]'
    )


def test_extract_leaves_member_names() -> None:
    more = f'"more":{{{PNG} \n:1}}'
    assert extracted(offer(PNG, "null", more))[0] == offer(reference(PNG), "null", more)


def test_extract_leaves_strings_that_end_with_the_literal() -> None:
    more = f'"more":["say \\{PNG},"say \\\\\\{PNG}]'
    assert extracted(offer(PNG, "null", more))[0] == offer(reference(PNG), "null", more)


def test_extract_replaces_a_literal_after_a_backslash_string() -> None:
    more, replaced = (f'"more":["\\\\",{value}]' for value in (PNG, reference(PNG)))
    assert extracted(offer(PNG, "null", more))[0] == offer(reference(PNG), "null", replaced)


@pytest.mark.parametrize("between", [f",{' ' * LONG}", f" ,{'1,' * LONG}", f"],[{'1,' * LONG}", f"}},{{{' ' * LONG}"])
def test_extract_leaves_literals_that_look_like_text_between_strings(between: str) -> None:
    text = offer(f'"{between}"', "null", r'"more":[["a"]]')
    assert extracted(text) == (text, ())


def test_extract_leaves_text_between_two_strings() -> None:
    literal = f'",{" " * LONG}"'
    text = offer(literal, "null", f'"more":["a{literal}b"]')
    assert json.loads(text)["more"] == ["a", "b"]
    assert extracted(text) == (text, ())


def test_extract_leaves_an_image_if_its_reference_exists() -> None:
    text = offer(PNG, PNG, f'"more":{reference(PNG)}')
    assert extracted(text) == (text, ())


def test_extract_ignores_references_to_other_images() -> None:
    more = f'"more":{reference("another")}'
    assert extracted(offer(PNG, "null", more)) == (offer(reference(PNG), "null", more), (image(PNG),))


@pytest.mark.parametrize(
    "text", ["{}", "[]", '"assets"', '{"assets":[]}', '{"assets":{"logo":null}}', offer(f"[{PNG}]", "7")]
)
def test_extract_leaves_texts_of_another_shape(text: str) -> None:
    assert extracted(text) == (text, ())


def test_extract_and_restore_are_fast_for_eight_megabytes() -> None:
    large, small, quotes = f'"{"A" * 4_000_000}"', f'"{"B" * LONG}"', '\\"' * 1_000_000
    texts = [
        offer(large, large.replace("A", "B")),
        offer(small, "null", f'"more":[{",".join([small] * 30_000)}]'),
        offer(small, "null", f'"more":{{{small}{" " * 8_000_000}:1}}'),
        offer(f'"{quotes}"', "null", f'"more":"x{quotes}{quotes}"'),
        offer(f'"{quotes[:LONG]}"', "null", f'"more":"x{quotes * 3}"'),
    ]
    began = time.thread_time()
    for text in texts:
        extracted(text)
    assert time.thread_time() - began < 10


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
    """Draws a value that looks like an image's literal, or contains one in an unusual place."""
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
        return draw(TEXTS)  # Some literals are not valid JSON inside or between strings.
    return text


@st.composite
def objects(draw: st.DrawFn, members: dict[str, str], unknown: st.SearchStrategy[str]) -> str:
    """Draws an object with these and unknown members, in any order, with white space between them."""
    written = [
        *members.items(),
        *((f"x{index}", value) for index, value in enumerate(draw(st.lists(unknown, max_size=2)))),
    ]
    space = draw(SPACE)
    parts = [member(f'"{name}"', space, value) for name, value in draw(st.permutations(written))]
    return f"{{{space}{f'{space},'.join(parts)}{space}}}"


@st.composite
def documents(draw: st.DrawFn) -> tuple[str, list[str]]:
    """Draws an offer's text and the literals of its image members."""
    contents = [draw(CONTENTS), draw(CONTENTS)]
    contents = draw(st.sampled_from([contents, contents[:1] * 2]))
    unknown = unknown_values(contents)
    assets = {}
    for name, content in zip(("logo", "largeRectangle"), contents, strict=True):
        large = draw(objects({"content": content}, unknown))
        value = draw(objects({"large": large}, unknown))
        assets[name] = draw(objects({"type": '"IMAGE"', "value": value}, unknown))
    return draw(objects({"offerId": '"1"', "assets": draw(objects(assets, unknown))}, unknown)), contents


def parsed_with_images(text: str, images: tuple[Image, ...]) -> Any:
    """Parses a text, and replaces references by the contents of the images."""
    contents = {image.digest: json.loads(image.literal) for image in images}

    def fill(pairs: list[tuple[str, Any]]) -> Any:
        match pairs:
            case [("imageDigest", str(digest))] if digest in contents:
                return contents[digest]
        return pairs

    return repr(json.loads(text, object_pairs_hook=fill))


@given(documents())
def test_restore_returns_the_original_offer(document: tuple[str, list[str]]) -> None:
    text, _ = document
    short, images = extracted(text)
    assert parsed_with_images(short, images) == parsed_with_images(text, images)
    for extracted_image in images:
        assert extracted_image.digest == hashlib.sha256(extracted_image.literal).hexdigest()


@given(documents())
def test_extract_returns_each_image_once_unless_its_reference_exists(document: tuple[str, list[str]]) -> None:
    text, contents = document
    assume(r"\u" not in text.replace(r"\u0041", ""))  # Texts with lone surrogates never get here.
    expected = [
        literal
        for literal in dict.fromkeys(contents)
        if len(literal.encode()) > MIN_LITERAL_BYTES and literal[1] not in " ,:]}" and reference(literal) not in text
    ]
    short, images = extracted(text)
    assert list(images) == [image(literal) for literal in expected]
    assert all(reference(literal) in short for literal in expected)


@given(TEXTS)
def test_restore_returns_any_json_unchanged(text: str) -> None:
    assert extracted(text) == (text, ())
