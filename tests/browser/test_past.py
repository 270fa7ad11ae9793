"""How does somebody come to the past, and back?"""

import pytest
from playwright.sync_api import Locator, Page, expect

from api.console.rendering import OFFERS, SIGN_OUT
from tests.browser.person import Person

PAST = "You are looking at the past"
WRITERS = f"form[method=post]:not([action='{SIGN_OUT}'])"


def moment(page: Page) -> Locator:
    """The part of the page that tells of it."""
    return page.get_by_role("region", name="Moment that is shown")


def name_of_first(page: Page) -> str:
    """What the offer TP-1 is called in the list."""
    row = page.get_by_role("row").filter(has=page.get_by_role("link", name="TP-1", exact=True))
    return row.get_by_role("cell").nth(1).inner_text()


def press(person: Person, key: str, shown: str) -> None:
    """A key on the slider, until the output beside it has changed and the page is there."""
    with person.page.expect_navigation():
        person.page.keyboard.press(key)
    expect(person.page.get_by_role("slider")).to_be_focused()
    expect(person.page.locator("output")).to_have_text(shown)


@pytest.mark.usefixtures("offers")
def test_the_slider_moved_by_keyboard_shows_the_past_and_keeps_the_focus(reader: Person) -> None:
    reader.open(OFFERS)
    page = reader.page
    expect(moment(page)).not_to_contain_text(PAST)
    assert name_of_first(page) == "Fill a jar"
    newest = int(page.get_by_role("slider").get_attribute("data-newest") or "")
    page.get_by_role("slider").focus()
    press(reader, "ArrowLeft", f"{newest} of {newest}")
    expect(moment(page)).to_contain_text(PAST)
    press(reader, "ArrowLeft", f"{newest - 1} of {newest}")
    assert name_of_first(page) == "Fill a jar"
    press(reader, "ArrowLeft", f"{newest - 2} of {newest}")
    assert name_of_first(page) == "Open a jar"
    press(reader, "Home", f"0 of {newest}")
    expect(moment(page)).to_contain_text("before the first event")
    expect(page.get_by_role("main")).to_contain_text("There were no offers yet at this moment.")
    press(reader, "End", "now")
    expect(moment(page)).not_to_contain_text(PAST)
    assert name_of_first(page) == "Fill a jar"
    assert reader.path.rstrip("?") == OFFERS


@pytest.mark.usefixtures("offers")
def test_a_day_and_a_time_are_chosen_too_and_the_way_back_is_a_link(reader: Person) -> None:
    reader.open(f"{OFFERS}?q=jar")
    reader.page.get_by_label("As of (UTC)").fill("2026-11-23T12:29:59")
    reader.page.get_by_role("button", name="Go").nth(1).click()
    expect(moment(reader.page)).to_contain_text("as it was at 2026-11-23 12:29:59")
    assert name_of_first(reader.page) == "Open a jar"
    reader.page.get_by_role("link", name="Back to now").click()
    expect(moment(reader.page)).not_to_contain_text(PAST)
    assert (name_of_first(reader.page), reader.path) == ("Fill a jar", f"{OFFERS}?q=jar")


@pytest.mark.usefixtures("offers")
def test_what_is_searched_for_in_the_past_is_found_as_it_was(reader: Person) -> None:
    reader.open(f"{OFFERS}?asOf=2026-11-23T00:00:00Z")
    reader.page.get_by_label("Search").fill("open")
    reader.page.get_by_role("button", name="Show").click()
    expect(moment(reader.page)).to_contain_text(PAST)
    expect(reader.page.get_by_role("row")).to_have_count(3)
