"""Is heard what a browser complains of, and seen what keeps people out? All other tests here rely on it."""

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


def test_what_a_browser_complains_of_is_heard(person: Person, subtests: pytest.Subtests) -> None:
    for script, complaint in COMPLAINTS.items():
        with subtests.test(script):
            person.open(SIGN_IN)
            person.complaints()  # the last ones of the page before
            person.page.evaluate(f"() => {{ {script} }}")
            heard: list[str] = []
            while not heard:
                person.page.wait_for_timeout(10)
                heard = person.complaints()
            assert complaint in heard[0]
    with subtests.test("a request to somebody else"):
        with pytest.raises(Error, match="net::ERR"):
            person.page.goto(ELSEWHERE)
        assert f"{ELSEWHERE} is not of the service" in person.complaints()


def test_a_page_that_says_no_is_no_complaint(reader: Person) -> None:
    assert reader.open(f"{OFFERS}?status=lost") == 422
    assert reader.complaints() == []


def test_what_keeps_people_out_of_a_page_is_seen(person: Person) -> None:
    person.open(SIGN_IN)
    assert violations(person.page) == []
    person.page.evaluate("document.querySelector('label').remove()")
    assert any('id="token"' in one for one in violations(person.page))
