"""Which pages are there? And what they are shown with."""

from pathlib import Path
from typing import Any

from fastapi import APIRouter, FastAPI, Request, Response
from starlette.exceptions import HTTPException
from starlette.staticfiles import StaticFiles

from api.access.console_sessions import CONSOLE
from api.console.page_context import AnyPage, SignedOut
from api.console.pages import compare, offer, offers, partners, redemption_desk, runs, sign_in, tokens
from api.console.routing import SECURITY_HEADERS, ConsoleRoute, lead_to_sign_in, refuse

PAGE_ROUTERS = (sign_in, offers, offer, runs, compare, redemption_desk, partners, tokens)

_rest = APIRouter(include_in_schema=False, route_class=ConsoleRoute)


class Static(StaticFiles):
    """Browsers keep the files, and ask each time whether they have changed."""

    def file_response(self, *given: Any, **more: Any) -> Response:
        response = super().file_response(*given, **more)
        response.headers.update(SECURITY_HEADERS | {"Cache-Control": "no-cache"})
        return response


def add_console(app: FastAPI) -> None:
    """Opens the console at /console."""
    app.state.refusals = {CONSOLE: refuse}
    app.add_exception_handler(SignedOut, lead_to_sign_in)
    app.mount(f"{CONSOLE}/static", Static(directory=Path(__file__).parent / "static"))
    for part in PAGE_ROUTERS:
        app.include_router(part.router)
    app.include_router(_rest)


@_rest.get(f"{CONSOLE}/{{path:path}}")
def find_nothing(request: Request, context: AnyPage) -> Response:  # noqa: ARG001 - who is not signed in, may be
    raise HTTPException(404)
