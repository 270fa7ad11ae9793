"""The console without JavaScript."""

import pytest
from playwright.sync_api import expect

from api.console.rendering import OFFERS
from domain.values import Role
from tests.browser.conftest import People
from tests.support.harness import MakeToken


@pytest.mark.usefixtures("offers")
def test_console_works_without_javascript(people: People, token: MakeToken) -> None:
    person = people(java_script_enabled=False)
    page = person.page
    person.open(OFFERS)
    page.get_by_label("Token").fill(token(Role.AUDITOR))
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("row")).to_have_count(5)

    page.get_by_label("Search").fill("noodle")
    page.get_by_role("button", name="Show").click()
    expect(page.get_by_role("row")).to_have_count(2)
    page.get_by_role("link", name="Clear").click()

    page.get_by_role("slider").press("Home")
    page.get_by_role("button", name="Go").first.click()
    expect(page.get_by_role("region", name="Viewed state")).to_contain_text("before the first event")
    page.get_by_role("slider").press("End")
    page.get_by_role("button", name="Go").first.click()
    expect(page.get_by_role("row")).to_have_count(5)
    expect(page.get_by_text("You are viewing a past state")).to_have_count(0)

    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Sign in")
