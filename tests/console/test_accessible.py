"""Can everybody use a page: in light and in dark, on a telephone and on a wide screen, with nothing in the ledger and with all?

On a telephone, everything has room in its width.
"""

from collections.abc import Sequence
from typing import Literal

import pytest

from api.console.rendering import SIGN_IN
from api.wiring import Service
from domain.values import Role
from tests.console.axe import COLOURS, violations
from tests.console.pages import PAGES, PAGES_OF_ONE, REFUSALS, just_now, path_of
from tests.console.person import Person
from tests.everything import record_everything
from tests.harness import Clock, MakeToken

SCHEMES: tuple[tuple[Literal["light", "dark"], Sequence[str]], ...] = (("light", ()), ("dark", COLOURS))
NARROW, WIDE = 360, 1600


def look(person: Person) -> dict[str, object]:
    """What is wrong with the page that is shown, however one looks at it."""
    wrong: dict[str, object] = {}
    for width in (WIDE, NARROW):
        person.page.set_viewport_size({"width": width, "height": 800})
        for scheme, rules in SCHEMES:
            person.page.emulate_media(color_scheme=scheme)
            wrong[f"{scheme}, {width} px"] = violations(person.page, rules)
    wrong["beyond 360 px"] = person.page.evaluate("document.documentElement.scrollWidth") - NARROW
    return {how: what for how, what in wrong.items() if what}


@pytest.mark.parametrize("name", PAGES)
def test_everybody_can_use_a_page(
    name: str, operator: Person, service: Service, clock: Clock, token: MakeToken, subtests: pytest.Subtests
) -> None:
    with subtests.test("an empty ledger"):
        assert (operator.open(PAGES[name]), look(operator)) == (200, {})
    record_everything(service, clock)
    operator.sign_in(token(Role.OPERATOR, name="later"))
    for path in (PAGES[name], just_now(PAGES[name], service)):
        with subtests.test(path):
            assert (operator.open(path), look(operator)) == (200, {})


@pytest.mark.usefixtures("full")
@pytest.mark.parametrize("name", PAGES_OF_ONE)
def test_everybody_can_use_a_page_of_one(
    name: str, service: Service, operator: Person, subtests: pytest.Subtests
) -> None:
    path = path_of(name, service)
    for shown in (path, just_now(path, service)):
        with subtests.test(shown):
            assert (operator.open(shown), look(operator)) == (200, {})


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
