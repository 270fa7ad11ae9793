"""Who is signed in at the console, for how long, and what does the browser keep of it?"""

from http import HTTPStatus
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest

from api.access.console_sessions import COOKIE
from api.console.rendering import OFFERS, SIGN_IN, SIGN_OUT
from api.dependencies.authentication import digest_secret
from api.service import Service
from domain.access.token import CreateToken, RevokeToken
from domain.values import Role, to_microseconds
from tests.support.calls.form_browser import Browsing
from tests.support.harness import OPERATOR, Call, Clock, MakeToken

SIGNED_OUT = "the sign-in page"


@pytest.fixture
def browser(call: Call, token: MakeToken) -> Browsing:
    """An auditor's."""
    return Browsing(call, token(Role.AUDITOR))


def shown(browser: Browsing, path: str = OFFERS) -> int | str:
    """The status, or that it leads to the sign-in page."""
    reply = browser.get(path)
    leads = reply.status_code == HTTPStatus.SEE_OTHER and urlsplit(reply.headers["Location"]).path == SIGN_IN
    return SIGNED_OUT if leads else reply.status_code


def attributes(reply: httpx2.Response) -> set[str]:
    """Of the session's cookie."""
    name, *given = reply.headers["Set-Cookie"].split("; ")
    assert name.startswith(f"{COOKIE}=")
    return set(given)


# In


def test_a_page_leads_to_the_sign_in_and_that_back_to_the_page(call: Call, token: MakeToken) -> None:
    asked_for = f"{OFFERS}?q=%26&status=active"
    leads = Browsing(call).get(asked_for).headers["Location"]
    assert parse_qs(urlsplit(leads).query) == {"next": [asked_for]}
    assert Browsing(call).sign_in(token(), asked_for).headers["Location"] == asked_for


ELSEWHERE = [
    "https://elsewhere.example/console/",
    "//elsewhere.example",
    "/console/../metrics",
    "/console/\\elsewhere.example",
    "/\\elsewhere.example",
    "/consoles",
    "/api/v1/offers",
    "javascript:alert(1)//console",
    "/console/\r\nLocation: https://elsewhere.example",
    "/console/\N{LINE SEPARATOR}",
]


def test_it_leads_nowhere_else(call: Call, token: MakeToken, subtests: pytest.Subtests) -> None:
    secret = token()
    for elsewhere in ELSEWHERE:
        with subtests.test(elsewhere):
            reply = Browsing(call).sign_in(secret, elsewhere)
            assert (reply.status_code, reply.headers["Location"]) == (303, OFFERS)
            assert f'name="next" value="{OFFERS}"' in Browsing(call).get(SIGN_IN, next=elsewhere).text


def test_the_cookie_is_kept_from_scripts_and_from_other_sites_for_an_hour(call: Call, token: MakeToken) -> None:
    given = attributes(Browsing(call).sign_in(token()))
    assert given == {"HttpOnly", "SameSite=lax", "Path=/console", "Max-Age=3600"}


def test_by_https_it_goes_by_nothing_else(call: Call, token: MakeToken) -> None:
    proxied = {"X-Forwarded-Proto": "https"}
    reply = call(None).http.post(SIGN_IN, data={"token": token()}, headers=proxied)
    assert "Secure" in attributes(reply)


@pytest.mark.parametrize("secret", ["unknown", "", "\N{SNOWMAN}", "x" * 5000])
def test_a_wrong_token_is_401_and_no_session(call: Call, secret: str) -> None:
    browser = Browsing(call)
    reply = browser.sign_in(secret)
    assert (reply.status_code, browser.cookie) == (401, "")
    assert "This token is unknown, revoked or expired." in reply.text


def test_the_cookie_opens_pages_and_no_call(browser: Browsing) -> None:
    browser.hold(browser.cookie)
    assert browser.get("/api/v1/offers").status_code == 401


# How long


def test_a_session_ends_after_an_hour_without_use(browser: Browsing, clock: Clock) -> None:
    clock.move(hours=1, microseconds=-1)
    kept = browser.cookie
    assert shown(browser) == 200
    browser.hold(kept)
    clock.move(microseconds=1)
    assert shown(browser) == SIGNED_OUT


def test_a_session_that_is_used_goes_on(browser: Browsing, clock: Clock) -> None:
    form_token = browser.form_token()
    for _ in range(3):
        clock.move(minutes=59)
        assert shown(browser) == 200
    assert browser.form_token() == form_token, "a form of an older page can still be sent"


def test_the_cookie_is_given_again_after_a_minute_at_the_earliest(browser: Browsing, clock: Clock) -> None:
    clock.move(minutes=1, microseconds=-1)
    assert "Set-Cookie" not in browser.get(OFFERS).headers
    clock.move(microseconds=1)
    assert "Max-Age=3600" in attributes(browser.get(OFFERS))


def test_with_its_token_a_session_ends_at_once(browser: Browsing, service: Service) -> None:
    assert shown(browser) == 200
    service.ledger.handle(RevokeToken("auditor-None"), OPERATOR)
    assert shown(browser) == SIGNED_OUT


def test_it_ends_when_its_token_expires(call: Call, token: MakeToken, clock: Clock) -> None:
    clock.move(minutes=5)
    browser = Browsing(call, token(expires_at=to_microseconds(clock.now) + 1))
    assert shown(browser) == 200
    clock.move(microseconds=1)
    assert shown(browser) == SIGNED_OUT


def test_a_name_that_is_given_again_does_not_revive_a_session(browser: Browsing, service: Service) -> None:
    service.ledger.handle(RevokeToken("auditor-None"), OPERATOR)
    renewed = CreateToken("auditor-None", Role.AUDITOR, None, digest_secret("renewed"), 0, None)
    service.ledger.handle(renewed, OPERATOR)
    assert shown(browser) == SIGNED_OUT


def test_a_cookie_that_was_changed_is_no_session(browser: Browsing, subtests: pytest.Subtests) -> None:
    cookie = browser.cookie
    payload, signature = cookie.rsplit(".", 1)
    for changed in ("", "x", payload, f"{payload}.", f"x{cookie}", f"{payload}x.{signature}", f"{cookie}x"):
        with subtests.test(changed):
            browser.hold(changed)
            assert shown(browser) == SIGNED_OUT


# Out


def test_who_signs_out_is_out(browser: Browsing) -> None:
    reply = browser.submit(SIGN_OUT)
    assert (reply.status_code, reply.headers["Location"]) == (303, SIGN_IN)
    assert {"Max-Age=0", "Path=/console"} <= attributes(reply)
    assert shown(browser) == SIGNED_OUT


def test_nobody_is_signed_out_by_another_page(browser: Browsing) -> None:
    assert browser.post(SIGN_OUT).status_code == 403
    assert shown(browser) == 200


# How often


def test_pages_count_like_calls_of_the_token(call: Call, token: MakeToken) -> None:
    browser = Browsing(call, token(Role.AUDITOR, requests_per_minute=2))
    replies = [browser.get(OFFERS) for _ in range(3)]
    assert [reply.status_code for reply in replies] == [200, 200, 429]
    assert 1 <= int(replies[2].headers["Retry-After"]) <= 60
    assert "text/html" in replies[2].headers["Content-Type"]
