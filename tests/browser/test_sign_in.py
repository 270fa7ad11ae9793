"""Who comes in, and who goes out again?"""

from playwright.sync_api import expect

from api.console.rendering import OFFERS, SIGN_IN
from api.service import Service
from domain.access.token import RevokeToken
from domain.values import Role
from tests.browser.person import Person
from tests.support.harness import OPERATOR, MakeToken

REFUSED = "This token is unknown, revoked or expired."


def give_token(person: Person, secret: str) -> None:
    person.page.get_by_label("Token").fill(secret)
    person.page.get_by_role("button", name="Sign in").click()


def heading(person: Person, name: str) -> None:
    expect(person.page.get_by_role("heading", level=1)).to_have_text(name)


def test_who_has_a_token_signs_in_and_out_again(person: Person, token: MakeToken) -> None:
    person.open("/console")
    give_token(person, token(Role.AUDITOR, name="audra"))
    heading(person, "Offers")
    expect(person.page.get_by_role("banner")).to_contain_text("audra auditor")
    person.page.get_by_role("button", name="Sign out").click()
    heading(person, "Sign in")
    person.open(OFFERS)
    heading(person, "Sign in")


def test_after_signing_out_the_way_back_shows_nothing(reader: Person) -> None:
    reader.open(OFFERS)
    reader.page.get_by_role("button", name="Sign out").click()
    heading(reader, "Sign in")
    reader.page.go_back()
    heading(reader, "Sign in")


def test_a_wrong_token_is_told_so(person: Person, token: MakeToken) -> None:
    person.open(SIGN_IN)
    give_token(person, token() + "x")
    expect(person.page.get_by_role("alert")).to_have_text(REFUSED)
    give_token(person, token(Role.AUDITOR))
    heading(person, "Offers")


def test_a_sign_in_link_signs_in_and_its_token_disappears_from_the_address(person: Person, token: MakeToken) -> None:
    addresses: list[str] = []
    person.page.on("request", lambda request: addresses.append(request.frame.url) if request.method == "POST" else None)
    person.page.goto(f"{person.address}{SIGN_IN}#token={token(Role.AUDITOR)}", wait_until="commit")
    heading(person, "Offers")
    assert addresses == [f"{person.address}{SIGN_IN}"], "when the token was sent"
    assert person.path == OFFERS


def test_a_sign_in_link_with_a_token_of_yesterday_says_so(person: Person) -> None:
    person.page.goto(f"{person.address}{SIGN_IN}#token=of%20yesterday", wait_until="commit")
    expect(person.page.get_by_role("alert")).to_have_text(REFUSED)
    assert person.path == SIGN_IN


def test_whose_token_is_revoked_has_to_sign_in_and_comes_back_to_the_page(
    reader: Person, token: MakeToken, service: Service
) -> None:
    asked_for = f"{OFFERS}?status=active&q=%26+%23"
    reader.open(OFFERS)
    service.ledger.handle(RevokeToken("auditor-None"), OPERATOR)
    reader.open(asked_for)
    heading(reader, "Sign in")
    give_token(reader, token(Role.AUDITOR, name="another"))
    heading(reader, "Offers")
    assert reader.path == asked_for
    expect(reader.page.get_by_label("Search")).to_have_value("& #")
