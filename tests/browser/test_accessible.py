"""Accessibility of all pages: light and dark, on a phone and on a wide screen, with an empty and with a full ledger.

On a phone, no page is wider than the screen.
"""

from collections.abc import Sequence
from typing import Literal

import pytest

from api.console.rendering import SIGN_IN
from api.service import Service
from tests.browser.axe import COLOURS, violations
from tests.browser.pages import PAGES, PAGES_OF_ONE, REFUSALS, as_past, path_of
from tests.browser.person import Person

SCHEMES: tuple[tuple[Literal["light", "dark"], Sequence[str]], ...] = (("light", ()), ("dark", COLOURS))
NARROW, WIDE = 360, 1600


def defects(person: Person, widths: Sequence[int] = (WIDE, NARROW)) -> dict[str, object]:
    """Returns the defects of the current page at these widths, in both colour schemes. The last width is NARROW."""
    found: dict[str, object] = {}
    for width in widths:
        person.page.set_viewport_size({"width": width, "height": 800})
        for scheme, rules in SCHEMES:
            person.page.emulate_media(color_scheme=scheme)
            found[f"{scheme}, {width} px"] = violations(person.page, rules)
    found["beyond 360 px"] = person.page.evaluate("document.documentElement.scrollWidth") - NARROW
    return {view: defect for view, defect in found.items() if defect}


# One test opens many pages in one browser context, which loads axe-core once.
def test_pages_of_an_empty_ledger_are_accessible(operator: Person, subtests: pytest.Subtests) -> None:
    for name, path in PAGES.items():
        with subtests.test(name):
            assert (operator.open(path), defects(operator)) == (200, {})


@pytest.mark.usefixtures("full")
@pytest.mark.parametrize("pages", [PAGES, pytest.param(PAGES_OF_ONE, marks=pytest.mark.long)], ids=["all", "one"])
def test_pages_of_a_full_ledger_are_accessible(
    pages: dict[str, str], service: Service, operator: Person, subtests: pytest.Subtests
) -> None:
    for name, path in pages.items():
        with subtests.test(name):
            assert (operator.open(path_of(path, service)), defects(operator)) == (200, {})


@pytest.mark.usefixtures("full")
def test_past_pages_are_accessible(service: Service, operator: Person, subtests: pytest.Subtests) -> None:
    for name, path in (PAGES | PAGES_OF_ONE).items():
        with subtests.test(name):
            past = as_past(path_of(path, service), service)
            assert (operator.open(past), defects(operator, [NARROW])) == (200, {})


def test_error_pages_are_accessible(operator: Person, subtests: pytest.Subtests) -> None:
    for name, path in REFUSALS.items():
        with subtests.test(name):
            assert operator.open(path) >= 400
            assert defects(operator) == {}


def test_sign_in_page_is_accessible(person: Person) -> None:
    person.open(SIGN_IN)
    person.page.get_by_label("Token").fill("unknown")
    for _ in ("first attempt", "after a refused token"):
        assert defects(person) == {}
        person.page.get_by_label("Token").fill("unknown")
        person.page.get_by_role("button", name="Sign in").click()
        person.page.get_by_role("alert").wait_for()
