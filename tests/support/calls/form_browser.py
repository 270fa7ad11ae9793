"""A browser as far as HTTP goes: it keeps its cookies, and sends forms that were on a page."""

import re

import httpx2

from api.access.console_sessions import COOKIE
from api.console.page_context import FORM_TOKEN
from api.console.rendering import OFFERS, SIGN_IN
from api.http.content_negotiation import FORM
from tests.support.harness import Call

_FORM_TOKEN = re.compile(rf'name="{FORM_TOKEN}" value="([0-9a-f]+)"')


class Browsing:
    """Signed in with a secret, if one is given."""

    def __init__(self, call: Call, secret: str | None = None) -> None:
        self.http = call(None).http
        if secret:
            assert self.sign_in(secret).status_code == 303

    @property
    def cookie(self) -> str:
        """Empty: there is none."""
        return self.http.cookies.get(COOKIE) or ""

    def hold(self, cookie: str) -> None:
        """Instead of the one that was given."""
        self.http.cookies.clear()
        self.http.cookies.set(COOKIE, cookie)

    def sign_in(self, secret: str, following: str = "") -> httpx2.Response:
        return self.post(SIGN_IN, token=secret, next=following)

    def get(self, path: str, **params: str | int) -> httpx2.Response:
        return self.http.get(path, params=params or None)

    def form_token(self, path: str = OFFERS) -> str:
        """That of the session."""
        found = _FORM_TOKEN.search(self.get(path).text)
        assert found
        return found[1]

    def submit(self, path: str, **fields: str | int) -> httpx2.Response:
        """As the form of a page does."""
        return self.post(path, **{FORM_TOKEN: self.form_token()}, **fields)

    def post(self, path: str, **fields: str | int) -> httpx2.Response:
        """As they are."""
        return self.http.post(path, data=fields, headers={"Content-Type": FORM})
