"""An HTTP client for the console: it keeps cookies and submits forms."""

import re

import httpx2

from api.access.console_sessions import COOKIE
from api.console.page_context import CSRF_FIELD
from api.console.rendering import OFFERS, SIGN_IN
from api.http.content_negotiation import FORM
from tests.support.harness import Call

_FORM_TOKEN = re.compile(rf'name="{CSRF_FIELD}" value="([0-9a-f]+)"')


class FormBrowser:
    """Signs in first, if it has the secret of a token."""

    def __init__(self, call: Call, secret: str | None = None) -> None:
        self.http = call(None).http
        if secret:
            assert self.sign_in(secret).status_code == 303

    @property
    def cookie(self) -> str:
        """The session cookie; empty without a session."""
        return self.http.cookies.get(COOKIE) or ""

    def set_cookie(self, cookie: str) -> None:
        """Replaces the session cookie."""
        self.http.cookies.clear()
        self.http.cookies.set(COOKIE, cookie)

    def sign_in(self, secret: str, return_to: str = "") -> httpx2.Response:
        return self.post(SIGN_IN, token=secret, next=return_to)

    def get(self, path: str, **params: str | int) -> httpx2.Response:
        return self.http.get(path, params=params or None)

    def form_token(self, path: str = OFFERS) -> str:
        """Returns the form token of the session, from the forms of a page."""
        match = _FORM_TOKEN.search(self.get(path).text)
        assert match
        return match[1]

    def submit(self, path: str, **fields: str | int) -> httpx2.Response:
        """Posts a form with the form token, as a page does."""
        return self.post(path, **{CSRF_FIELD: self.form_token()}, **fields)

    def post(self, path: str, **fields: str | int) -> httpx2.Response:
        """Posts a form with these fields only."""
        return self.http.post(path, data=fields, headers={"Content-Type": FORM})
