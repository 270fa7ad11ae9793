"""Can everybody use a page: in light and in dark, on a telephone and on a wide screen, with nothing in the ledger and with all?"""

from typing import Literal, cast

import pytest

from api.console.rendering import SIGN_IN
from api.wiring import Service
from domain.values import Role
from tests.console.axe import violations
from tests.console.pages import PAGES, in_the_past
from tests.console.person import Person
from tests.everything import record_everything
from tests.harness import Clock, MakeToken

SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
NARROW = 360
WIDTHS = (NARROW, 1600)


def look(person: Person) -> dict[str, object]:
    """What is wrong with the page that is shown, however one looks at it."""
    wrong: dict[str, object] = {}
    for width in WIDTHS:
        person.page.set_viewport_size({"width": width, "height": 800})
        for scheme in SCHEMES:
            person.page.emulate_media(color_scheme=scheme)
            if found := violations(person.page):
                wrong[f"{scheme}, {width} px"] = found
    return wrong


def width(person: Person) -> int:
    """Of all that is on the page, on a telephone."""
    person.page.set_viewport_size({"width": NARROW, "height": 800})
    return cast("int", person.page.evaluate("document.documentElement.scrollWidth"))


@pytest.mark.parametrize("name", PAGES)
def test_everybody_can_use(
    name: str, operator: Person, service: Service, clock: Clock, token: MakeToken, subtests: pytest.Subtests
) -> None:
    def shown(ledger: str, path: str) -> None:
        with subtests.test(ledger):
            operator.open(path)
            assert look(operator) == {}
            assert width(operator) <= NARROW

    shown("an empty ledger", PAGES[name])
    record_everything(service, clock)
    operator.sign_in(token(Role.OPERATOR, name="later"))
    shown("a full ledger", PAGES[name])
    shown("its past", in_the_past(PAGES[name], 40))


def test_everybody_can_sign_in(person: Person) -> None:
    person.open(SIGN_IN)
    person.page.get_by_label("Token").fill("unknown")
    for _ in ("asked", "refused"):
        assert look(person) == {}
        assert width(person) <= NARROW
        person.page.get_by_label("Token").fill("unknown")
        person.page.get_by_role("button", name="Sign in").click()
        person.page.get_by_role("alert").wait_for()
