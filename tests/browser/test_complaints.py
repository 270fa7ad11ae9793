"""The checks that all other browser tests rely on: collecting complaints, and finding accessibility violations."""

import pytest
from playwright.sync_api import Error

from api.console.rendering import OFFERS, SIGN_IN
from tests.browser.axe import violations
from tests.browser.person import Person

ELSEWHERE = "http://127.0.0.1:9/"
POLICY = "Content Security Policy"


COMPLAINTS = {
    "setTimeout(() => { throw Error('broken') })": "broken",
    "console.error('broken')": "broken",
    "setTimeout(() => alert('broken'))": "broken",
    "document.body.append(Object.assign(document.createElement('script'), {text: 'alert(1)'}))": POLICY,
    "document.body.setAttribute('style', 'color: red')": POLICY,
    "fetch('/console/static/missing.js')": "404",
    f"fetch('{ELSEWHERE}').catch(() => null)": POLICY,
}


def test_complaints_of_the_browser_are_collected(person: Person, subtests: pytest.Subtests) -> None:
    for script, complaint in COMPLAINTS.items():
        with subtests.test(script):
            person.open(SIGN_IN)
            person.complaints()  # drops those of the previous page
            person.page.evaluate(f"() => {{ {script} }}")
            complaints: list[str] = []
            while not complaints:
                person.page.wait_for_timeout(10)
                complaints = person.complaints()
            assert complaint in complaints[0]
    with subtests.test("a request to another server"):
        with pytest.raises(Error, match="net::ERR"):
            person.page.goto(ELSEWHERE)
        assert f"{ELSEWHERE} is not on the service" in person.complaints()


def test_error_page_is_no_complaint(reader: Person) -> None:
    assert reader.open(f"{OFFERS}?status=lost") == 422
    assert reader.complaints() == []


def test_accessibility_violation_is_found(person: Person) -> None:
    person.open(SIGN_IN)
    assert violations(person.page) == []
    person.page.evaluate("document.querySelector('label').remove()")
    assert any('id="token"' in violation for violation in violations(person.page))
