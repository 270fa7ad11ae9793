"""Navigation to past states and back."""

import pytest
from playwright.sync_api import Locator, Page, expect

from api.console.rendering import OFFERS, SIGN_OUT
from tests.browser.person import Person

PAST = "You are viewing a past state"
WRITERS = f"form[method=post]:not([action='{SIGN_OUT}'])"


def state_bar(page: Page) -> Locator:
    """Returns the bar at the top that shows and selects the state."""
    return page.get_by_role("region", name="Viewed state")


def name_of_first(page: Page) -> str:
    """Returns the name of the offer TP-1 in the list."""
    row = page.get_by_role("row").filter(has=page.get_by_role("link", name="TP-1", exact=True))
    return row.get_by_role("cell").nth(1).inner_text()


def press(person: Person, key: str, output: str) -> None:
    """Presses a key on the slider, and waits for the new page and the text next to the slider."""
    with person.page.expect_navigation():
        person.page.keyboard.press(key)
    expect(person.page.get_by_role("slider")).to_be_focused()
    expect(person.page.locator("output")).to_have_text(output)


@pytest.mark.usefixtures("offers")
def test_slider_works_by_keyboard_and_keeps_the_focus(reader: Person) -> None:
    reader.open(OFFERS)
    page = reader.page
    expect(state_bar(page)).not_to_contain_text(PAST)
    assert name_of_first(page) == "Fill a jar"
    newest = int(page.get_by_role("slider").get_attribute("data-newest") or "")
    page.get_by_role("slider").focus()
    press(reader, "ArrowLeft", f"{newest} of {newest}")
    expect(state_bar(page)).to_contain_text(PAST)
    press(reader, "ArrowLeft", f"{newest - 1} of {newest}")
    assert name_of_first(page) == "Fill a jar"
    press(reader, "ArrowLeft", f"{newest - 2} of {newest}")
    assert name_of_first(page) == "Open a jar"
    press(reader, "Home", f"0 of {newest}")
    expect(state_bar(page)).to_contain_text("before the first event")
    expect(page.get_by_role("main")).to_contain_text("There were no offers yet.")
    press(reader, "End", "now")
    expect(state_bar(page)).not_to_contain_text(PAST)
    assert name_of_first(page) == "Fill a jar"
    assert reader.path.rstrip("?") == OFFERS


@pytest.mark.usefixtures("offers")
def test_time_field_selects_a_past_state(reader: Person) -> None:
    reader.open(f"{OFFERS}?q=jar")
    reader.page.get_by_label("As of (UTC)").fill("2026-11-23T12:29:59")
    reader.page.get_by_role("button", name="Go").nth(1).click()
    expect(state_bar(reader.page)).to_contain_text("as of 2026-11-23 12:29:59")
    assert name_of_first(reader.page) == "Open a jar"
    reader.page.get_by_role("link", name="Back to now").click()
    expect(state_bar(reader.page)).not_to_contain_text(PAST)
    assert (name_of_first(reader.page), reader.path) == ("Fill a jar", f"{OFFERS}?q=jar")


@pytest.mark.usefixtures("offers")
def test_search_in_a_past_state_finds_past_contents(reader: Person) -> None:
    reader.open(f"{OFFERS}?asOf=2026-11-23T00:00:00Z")
    reader.page.get_by_label("Search").fill("open")
    reader.page.get_by_role("button", name="Show").click()
    expect(state_bar(reader.page)).to_contain_text(PAST)
    expect(reader.page.get_by_role("row")).to_have_count(3)
