"""Somebody at the console, without a browser: what a page says, and the forms on it."""

import html
import re
from typing import Any

import httpx2

from api.console.rendering import SIGN_IN
from tests.support.calls.form_browser import Browsing
from tests.support.harness import Call


class Looking(Browsing):
    """Signed in with a token; the page that was seen last is at hand."""

    def __init__(self, call: Call, secret: str) -> None:
        super().__init__(call, secret)
        self._secret = secret
        self.page = ""

    def at(self, path: str, status: int = 200, /, **params: Any) -> str:
        """What a page says, its tags taken out."""
        reply = self.http.get(f"/console{path}", params=params or None)
        if reply.headers.get("Location", "").startswith(SIGN_IN):  # the clock has gone on
            self.sign_in(self._secret)
            reply = self.http.get(f"/console{path}", params=params or None)
        return self._seen(reply, status)

    def send(self, path: str, status: int = 303, /, **fields: Any) -> str:
        """As the form of the page that was seen last does; follows to where it leads."""
        found = re.search('name="form_token" value="([0-9a-f]+)"', self.page)
        assert found, "there is no form on this page"
        reply = self.http.post(f"/console{path}", data={"form_token": found[1], **fields})
        text = self._seen(reply, status)
        return self._seen(self.http.get(reply.headers["Location"]), 200) if status == 303 else text

    def _seen(self, reply: httpx2.Response, status: int) -> str:
        assert reply.status_code == status, reply.text
        self.page = reply.text
        return text_of(reply.text)


def text_of(page: str) -> str:
    main = page.partition("<main")[2] or page
    return " ".join(html.unescape(re.sub("<[^>]*>", " ", main.partition(">")[2])).split())


def links(page: str) -> list[str]:
    return [html.unescape(link) for link in re.findall('href="([^"#]+)', page)]
