"""A user of the console with a separate browser context, which collects the complaints of the browser."""

from http import HTTPStatus
from typing import NamedTuple

from playwright.sync_api import BrowserContext, ConsoleMessage, Dialog, Page, Request, Response, WebError, expect

from api.console.rendering import SIGN_IN
from tests.support.waiting import PATIENCE_SECONDS

PATIENCE_MS = PATIENCE_SECONDS * 1000
expect.set_options(timeout=PATIENCE_MS)
FAILED_TO_LOAD = "Failed to load resource"
COMPLAINTS = ("error", "warning")


class Complaint(NamedTuple):
    text: str
    url: str


class Person:
    """A user. `context` is a new browser context; `address` is that of the service."""

    def __init__(self, context: BrowserContext, address: str) -> None:
        self.context, self.address = context, address
        self.page: Page = context.new_page()
        self.page.set_default_timeout(PATIENCE_MS)
        self._complaints: list[Complaint] = []
        self._error_pages: set[str] = set()
        context.on("console", self._on_console)
        context.on("weberror", self._on_error)
        context.on("dialog", self._on_dialog)
        context.on("request", self._on_request)
        context.on("response", self._on_response)

    def sign_in(self, secret: str) -> None:
        """Signs in by a request, without opening the sign-in page."""
        reply = self.context.request.post(f"{self.address}{SIGN_IN}", form={"token": secret}, max_redirects=0)
        assert reply.status == HTTPStatus.SEE_OTHER, reply.text()

    def open(self, path: str) -> int:
        """Opens a page and returns its status."""
        response = self.page.goto(f"{self.address}{path}")
        assert response is not None, path
        return response.status

    @property
    def path(self) -> str:
        """The path of the current page, with its query and its fragment."""
        return self.page.url.removeprefix(self.address)

    def complaints(self) -> list[str]:
        """Returns the complaints of the browser since the last call.

        These are script errors, violations of the security policy, missing files, dialogs and requests to other hosts.
        An error page of the console itself is not a complaint."""
        self.page.title()  # a round trip, so that all earlier events have arrived
        complaints, self._complaints = self._complaints, []
        return [
            entry.text
            for entry in complaints
            if not (entry.url in self._error_pages and entry.text.startswith(FAILED_TO_LOAD))
        ]

    def _on_console(self, message: ConsoleMessage) -> None:
        if message.type in COMPLAINTS:
            self._complaints.append(Complaint(message.text, message.location["url"]))

    def _on_error(self, error: WebError) -> None:
        self._complaints.append(Complaint(str(error.error), ""))

    def _on_dialog(self, dialog: Dialog) -> None:
        self._complaints.append(Complaint(f"A page has opened a dialog: {dialog.message}", ""))
        dialog.dismiss()

    def _on_request(self, request: Request) -> None:
        if not request.url.startswith(f"{self.address}/"):
            self._complaints.append(Complaint(f"{request.url} is not on the service", ""))

    def _on_response(self, response: Response) -> None:
        if response.status >= HTTPStatus.BAD_REQUEST and response.request.is_navigation_request():
            self._error_pages.add(response.url)
