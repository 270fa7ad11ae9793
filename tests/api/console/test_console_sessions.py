"""Sessions of the console: sign in, cookie, expiry and sign out."""

import hashlib
import hmac
from datetime import datetime
from http import HTTPStatus
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest
from itsdangerous import URLSafeSerializer

from api.access.console_sessions import COOKIE
from api.console.rendering import OFFERS, SIGN_IN, SIGN_OUT
from api.dependencies.authentication import digest_secret
from api.service import Service
from domain.access.token import CreateToken, RevokeToken
from domain.values import Role, to_microseconds
from tests.support.calls.form_browser import FormBrowser
from tests.support.harness import OPERATOR, Call, Clock, MakeToken

SIGNED_OUT = "the sign-in page"


@pytest.fixture
def browser(call: Call, token: MakeToken) -> FormBrowser:
    """A session of an auditor."""
    return FormBrowser(call, token(Role.AUDITOR))


def page_status(browser: FormBrowser, path: str = OFFERS) -> int | str:
    """Returns the status of a page, or SIGNED_OUT if it redirects to the sign-in page."""
    reply = browser.get(path)
    redirects = reply.status_code == HTTPStatus.SEE_OTHER and urlsplit(reply.headers["Location"]).path == SIGN_IN
    return SIGNED_OUT if redirects else reply.status_code


def cookie_attributes(reply: httpx2.Response) -> set[str]:
    """Returns the attributes of the session cookie."""
    name, *attributes = reply.headers["Set-Cookie"].split("; ")
    assert name.startswith(f"{COOKIE}=")
    return set(attributes)


# Sign in


def test_sign_in_returns_to_the_requested_page(call: Call, token: MakeToken) -> None:
    requested = f"{OFFERS}?q=%26&status=active"
    redirect = FormBrowser(call).get(requested).headers["Location"]
    assert parse_qs(urlsplit(redirect).query) == {"next": [requested]}
    assert FormBrowser(call).sign_in(token(), requested).headers["Location"] == requested


def test_secrets_in_the_ledger_sign_no_session(service: Service, call: Call, token: MakeToken) -> None:
    digest = digest_secret(token(Role.OPERATOR))
    with service.ledger.recorder.read() as tx:
        stored = [bytes(row["secret"]) for row in tx.execute("SELECT secret FROM secrets").fetchall()]
    assert stored
    for secret in stored:
        browser = FormBrowser(call)
        browser.set_cookie(forged_cookie(secret, digest, service.clock()))
        assert page_status(browser) == SIGNED_OUT


def forged_cookie(secret: bytes, token_sha256: str, now: datetime) -> str:
    """Returns the cookie that the console would give out if `secret` were its key."""
    key = hmac.digest(secret, b"sessions of the console", "sha256")
    options = {"key_derivation": "hmac", "digest_method": hashlib.sha256}
    session = {"token_sha256": token_sha256, "key": "forged", "began": to_microseconds(now)}
    return str(URLSafeSerializer(key, "session", signer_kwargs=options).dumps(session))


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


def test_sign_in_redirects_only_to_pages_of_the_console(
    call: Call, token: MakeToken, subtests: pytest.Subtests
) -> None:
    secret = token()
    for elsewhere in ELSEWHERE:
        with subtests.test(elsewhere):
            reply = FormBrowser(call).sign_in(secret, elsewhere)
            assert (reply.status_code, reply.headers["Location"]) == (303, OFFERS)
            assert f'name="next" value="{OFFERS}"' in FormBrowser(call).get(SIGN_IN, next=elsewhere).text


def test_cookie_is_httponly_samesite_and_valid_for_an_hour(call: Call, token: MakeToken) -> None:
    attributes = cookie_attributes(FormBrowser(call).sign_in(token()))
    assert attributes == {"HttpOnly", "SameSite=lax", "Path=/console", "Max-Age=3600"}


def test_cookie_over_https_is_secure(call: Call, token: MakeToken) -> None:
    proxied = {"X-Forwarded-Proto": "https"}
    reply = call(None).http.post(SIGN_IN, data={"token": token()}, headers=proxied)
    assert "Secure" in cookie_attributes(reply)


@pytest.mark.parametrize("secret", ["unknown", "", "\N{SNOWMAN}", "x" * 5000])
def test_unknown_token_gets_401_and_no_session(call: Call, secret: str) -> None:
    browser = FormBrowser(call)
    reply = browser.sign_in(secret)
    assert (reply.status_code, browser.cookie) == (401, "")
    assert "This token is unknown, revoked or expired." in reply.text


def test_cookie_does_not_authorise_api_calls(browser: FormBrowser) -> None:
    browser.set_cookie(browser.cookie)
    assert browser.get("/api/v1/offers").status_code == 401


# Expiry


def test_session_ends_after_an_hour_without_use(browser: FormBrowser, clock: Clock) -> None:
    clock.move(hours=1, microseconds=-1)
    old_cookie = browser.cookie
    assert page_status(browser) == 200
    browser.set_cookie(old_cookie)
    clock.move(microseconds=1)
    assert page_status(browser) == SIGNED_OUT


def test_session_in_use_is_extended(browser: FormBrowser, clock: Clock) -> None:
    form_token = browser.form_token()
    for _ in range(3):
        clock.move(minutes=59)
        assert page_status(browser) == 200
    assert browser.form_token() == form_token, "forms of older pages stay valid"


def test_cookie_is_renewed_at_most_once_a_minute(browser: FormBrowser, clock: Clock) -> None:
    clock.move(minutes=1, microseconds=-1)
    assert "Set-Cookie" not in browser.get(OFFERS).headers
    clock.move(microseconds=1)
    assert "Max-Age=3600" in cookie_attributes(browser.get(OFFERS))


def test_revoking_the_token_ends_the_session_at_once(browser: FormBrowser, service: Service) -> None:
    assert page_status(browser) == 200
    service.ledger.handle(RevokeToken("auditor-None"), OPERATOR)
    assert page_status(browser) == SIGNED_OUT


def test_session_ends_when_its_token_expires(call: Call, token: MakeToken, clock: Clock) -> None:
    clock.move(minutes=5)
    browser = FormBrowser(call, token(expires_at=to_microseconds(clock.now) + 1))
    assert page_status(browser) == 200
    clock.move(microseconds=1)
    assert page_status(browser) == SIGNED_OUT


def test_new_token_with_the_same_name_revives_no_session(browser: FormBrowser, service: Service) -> None:
    service.ledger.handle(RevokeToken("auditor-None"), OPERATOR)
    renewed = CreateToken("auditor-None", Role.AUDITOR, None, digest_secret("renewed"), 0, None)
    service.ledger.handle(renewed, OPERATOR)
    assert page_status(browser) == SIGNED_OUT


def test_modified_cookie_gives_no_session(browser: FormBrowser, subtests: pytest.Subtests) -> None:
    cookie = browser.cookie
    payload, signature = cookie.rsplit(".", 1)
    for changed in ("", "x", payload, f"{payload}.", f"x{cookie}", f"{payload}x.{signature}", f"{cookie}x"):
        with subtests.test(changed):
            browser.set_cookie(changed)
            assert page_status(browser) == SIGNED_OUT


# Sign out


def test_sign_out_ends_the_session(browser: FormBrowser) -> None:
    reply = browser.submit(SIGN_OUT)
    assert (reply.status_code, reply.headers["Location"]) == (303, SIGN_IN)
    assert {"Max-Age=0", "Path=/console"} <= cookie_attributes(reply)
    assert page_status(browser) == SIGNED_OUT


def test_sign_out_without_form_token_is_refused(browser: FormBrowser) -> None:
    assert browser.post(SIGN_OUT).status_code == 403
    assert page_status(browser) == 200


# Limits


def test_pages_count_against_the_limit_of_the_token(call: Call, token: MakeToken) -> None:
    browser = FormBrowser(call, token(Role.AUDITOR, requests_per_minute=2))
    replies = [browser.get(OFFERS) for _ in range(3)]
    assert [reply.status_code for reply in replies] == [200, 200, 429]
    assert 1 <= int(replies[2].headers["Retry-After"]) <= 60
    assert "text/html" in replies[2].headers["Content-Type"]
