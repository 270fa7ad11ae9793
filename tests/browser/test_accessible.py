"""Can everybody use a page: in light and in dark, on a telephone and on a wide screen, with nothing in the ledger and with all?

On a telephone, everything has room in its width.
"""

from collections.abc import Sequence
from typing import Literal

import pytest

from api.console.rendering import SIGN_IN
from api.service import Service
from tests.browser.axe import COLOURS, violations
from tests.browser.pages import PAGES, PAGES_OF_ONE, REFUSALS, just_now, path_of
from tests.browser.person import Person

SCHEMES: tuple[tuple[Literal["light", "dark"], Sequence[str]], ...] = (("light", ()), ("dark", COLOURS))
NARROW, WIDE = 360, 1600


def look(person: Person, widths: Sequence[int] = (WIDE, NARROW)) -> dict[str, object]:
    """What is wrong with the page that is shown, however one looks at it. The last of the widths is that of a telephone."""
    wrong: dict[str, object] = {}
    for width in widths:
        person.page.set_viewport_size({"width": width, "height": 800})
        for scheme, rules in SCHEMES:
            person.page.emulate_media(color_scheme=scheme)
            wrong[f"{scheme}, {width} px"] = violations(person.page, rules)
    wrong["beyond 360 px"] = person.page.evaluate("document.documentElement.scrollWidth") - NARROW
    return {how: what for how, what in wrong.items() if what}


# Many pages in one browser: it reads axe-core once.
def test_everybody_can_use_the_console_of_an_empty_ledger(operator: Person, subtests: pytest.Subtests) -> None:
    for name, path in PAGES.items():
        with subtests.test(name):
            assert (operator.open(path), look(operator)) == (200, {})


@pytest.mark.usefixtures("full")
@pytest.mark.parametrize("pages", [PAGES, PAGES_OF_ONE], ids=["all", "one"])
def test_everybody_can_use_the_console_of_a_full_ledger(
    pages: dict[str, str], service: Service, operator: Person, subtests: pytest.Subtests
) -> None:
    for name, path in pages.items():
        with subtests.test(name):
            assert (operator.open(path_of(path, service)), look(operator)) == (200, {})


@pytest.mark.usefixtures("full")
def test_everybody_can_use_its_past(service: Service, operator: Person, subtests: pytest.Subtests) -> None:
    for name, path in (PAGES | PAGES_OF_ONE).items():
        with subtests.test(name):
            shown = just_now(path_of(path, service), service)
            assert (operator.open(shown), look(operator, [NARROW])) == (200, {})


def test_everybody_can_use_a_refusal(operator: Person, subtests: pytest.Subtests) -> None:
    for name, path in REFUSALS.items():
        with subtests.test(name):
            assert operator.open(path) >= 400
            assert look(operator) == {}


def test_everybody_can_sign_in(person: Person) -> None:
    person.open(SIGN_IN)
    person.page.get_by_label("Token").fill("unknown")
    for _ in ("asked", "refused"):
        assert look(person) == {}
        person.page.get_by_label("Token").fill("unknown")
        person.page.get_by_role("button", name="Sign in").click()
        person.page.get_by_role("alert").wait_for()
