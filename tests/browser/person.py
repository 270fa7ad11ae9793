"""Somebody who looks at the console in a browser of their own. What does the browser complain of meanwhile?"""

from http import HTTPStatus
from typing import NamedTuple

from playwright.sync_api import BrowserContext, ConsoleMessage, Dialog, Page, Request, Response, WebError, expect

from api.console.rendering import SIGN_IN

PATIENCE_MS = 20_000
expect.set_options(timeout=PATIENCE_MS)
NOT_THERE = "Failed to load resource"
COMPLAINTS = ("error", "warning")


class Complaint(NamedTuple):
    text: str
    url: str


class Person:
    """`context`: a fresh one of the browser's, at the address of the service."""

    def __init__(self, context: BrowserContext, address: str) -> None:
        self.context, self.address = context, address
        self.page: Page = context.new_page()
        self.page.set_default_timeout(PATIENCE_MS)
        self._heard: list[Complaint] = []
        self._refused: set[str] = set()
        context.on("console", self._hear)
        context.on("weberror", self._hear_error)
        context.on("dialog", self._see_dialog)
        context.on("request", self._see_request)
        context.on("response", self._see_response)

    def sign_in(self, secret: str) -> None:
        """Without a page: most tests are about what comes then."""
        reply = self.context.request.post(f"{self.address}{SIGN_IN}", form={"token": secret}, max_redirects=0)
        assert reply.status == HTTPStatus.SEE_OTHER, reply.text()

    def open(self, path: str) -> int:
        """Gives the status of the page that is there then."""
        response = self.page.goto(f"{self.address}{path}")
        assert response is not None, path
        return response.status

    @property
    def path(self) -> str:
        """Of the page that is shown, with its query and what stands behind a #."""
        return self.page.url.removeprefix(self.address)

    def complaints(self) -> list[str]:
        """Of the browser since it was last asked, of everything but a page that is itself a refusal: errors of scripts, what the
        security policy has forbidden, parts that are not there, dialogs, requests to anybody else."""
        self.page.title()  # whatever was told before it has been heard then
        heard, self._heard = self._heard, []
        return [one.text for one in heard if not (one.url in self._refused and one.text.startswith(NOT_THERE))]

    def _hear(self, message: ConsoleMessage) -> None:
        if message.type in COMPLAINTS:
            self._heard.append(Complaint(message.text, message.location["url"]))

    def _hear_error(self, error: WebError) -> None:
        self._heard.append(Complaint(str(error.error), ""))

    def _see_dialog(self, dialog: Dialog) -> None:
        self._heard.append(Complaint(f"A page has asked: {dialog.message}", ""))
        dialog.dismiss()

    def _see_request(self, request: Request) -> None:
        if not request.url.startswith(f"{self.address}/"):
            self._heard.append(Complaint(f"{request.url} is not of the service", ""))

    def _see_response(self, response: Response) -> None:
        if response.status >= HTTPStatus.BAD_REQUEST and response.request.is_navigation_request():
            self._refused.add(response.url)
