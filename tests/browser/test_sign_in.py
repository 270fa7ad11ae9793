"""Signing in and out in a browser."""

from playwright.sync_api import expect

from api.console.rendering import OFFERS, SIGN_IN
from api.service import Service
from domain.access.token import RevokeToken
from domain.values import Role
from tests.browser.person import Person
from tests.support.harness import OPERATOR, MakeToken

REFUSED = "This token is unknown, revoked or expired."


def submit_token(person: Person, secret: str) -> None:
    person.page.get_by_label("Token").fill(secret)
    person.page.get_by_role("button", name="Sign in").click()


def expect_heading(person: Person, name: str) -> None:
    expect(person.page.get_by_role("heading", level=1)).to_have_text(name)


def test_user_signs_in_and_out(person: Person, token: MakeToken) -> None:
    person.open("/console")
    submit_token(person, token(Role.AUDITOR, name="audra"))
    expect_heading(person, "Offers")
    expect(person.page.get_by_role("banner")).to_contain_text("audra (auditor)")
    person.page.get_by_role("button", name="Sign out").click()
    expect_heading(person, "Sign in")
    person.open(OFFERS)
    expect_heading(person, "Sign in")


def test_back_button_after_sign_out_shows_no_page(reader: Person) -> None:
    reader.open(OFFERS)
    reader.page.get_by_role("button", name="Sign out").click()
    expect_heading(reader, "Sign in")
    reader.page.go_back()
    expect_heading(reader, "Sign in")


def test_unknown_token_is_refused(person: Person, token: MakeToken) -> None:
    person.open(SIGN_IN)
    submit_token(person, token() + "x")
    expect(person.page.get_by_role("alert")).to_have_text(REFUSED)
    submit_token(person, token(Role.AUDITOR))
    expect_heading(person, "Offers")


def test_sign_in_link_removes_its_token_from_the_address(person: Person, token: MakeToken) -> None:
    addresses: list[str] = []
    person.page.on("request", lambda request: addresses.append(request.frame.url) if request.method == "POST" else None)
    person.page.goto(f"{person.address}{SIGN_IN}#token={token(Role.AUDITOR)}", wait_until="commit")
    expect_heading(person, "Offers")
    assert addresses == [f"{person.address}{SIGN_IN}"], "the address when the token was sent"
    assert person.path == OFFERS


def test_sign_in_link_with_unknown_token_is_refused(person: Person) -> None:
    person.page.goto(f"{person.address}{SIGN_IN}#token=unknown%20token", wait_until="commit")
    expect(person.page.get_by_role("alert")).to_have_text(REFUSED)
    assert person.path == SIGN_IN


def test_sign_in_after_revocation_returns_to_the_page(reader: Person, token: MakeToken, service: Service) -> None:
    requested = f"{OFFERS}?status=active&q=%26+%23"
    reader.open(OFFERS)
    service.ledger.handle(RevokeToken("auditor-None"), OPERATOR)
    reader.open(requested)
    expect_heading(reader, "Sign in")
    submit_token(reader, token(Role.AUDITOR, name="another"))
    expect_heading(reader, "Offers")
    assert reader.path == requested
    expect(reader.page.get_by_label("Search")).to_have_value("& #")
