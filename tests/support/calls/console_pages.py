"""A console client that reads pages as text and submits the forms on them."""

import html
import re
from typing import Any

import httpx2

from api.console.rendering import SIGN_IN
from tests.support.calls.form_browser import FormBrowser
from tests.support.harness import Call


class ConsoleReader(FormBrowser):
    """A signed-in client. `page` is the HTML of the last page."""

    def __init__(self, call: Call, secret: str) -> None:
        super().__init__(call, secret)
        self._secret = secret
        self.page = ""

    def read(self, path: str, status: int = 200, /, **params: Any) -> str:
        """Opens a page and returns its text without tags."""
        reply = self.http.get(f"/console{path}", params=params or None)
        if reply.headers.get("Location", "").startswith(
            SIGN_IN
        ):  # the session has expired, because the test moved the clock
            self.sign_in(self._secret)
            reply = self.http.get(f"/console{path}", params=params or None)
        return self._keep(reply, status)

    def send_form(self, path: str, status: int = 303, /, **fields: Any) -> str:
        """Submits a form with the form token of the last page, and returns the text of the page after the redirect."""
        form_token = re.search('name="form_token" value="([0-9a-f]+)"', self.page)
        assert form_token, "there is no form on this page"
        reply = self.http.post(f"/console{path}", data={"form_token": form_token[1], **fields})
        text = self._keep(reply, status)
        return self._keep(self.http.get(reply.headers["Location"]), 200) if status == 303 else text

    def _keep(self, reply: httpx2.Response, status: int) -> str:
        assert reply.status_code == status, reply.text
        self.page = reply.text
        return text_of(reply.text)


def text_of(page: str) -> str:
    main = page.partition("<main")[2] or page
    return " ".join(html.unescape(re.sub("<[^>]*>", " ", main.partition(">")[2])).split())


def links(page: str) -> list[str]:
    return [html.unescape(link) for link in re.findall('href="([^"#]+)', page)]
