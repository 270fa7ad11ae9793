"""Which pages are there? And what they are shown with."""

from pathlib import Path
from typing import Any

from fastapi import APIRouter, FastAPI, Request, Response
from starlette.exceptions import HTTPException
from starlette.staticfiles import StaticFiles

from api.access.console_sessions import CONSOLE
from api.console.page_context import SignedOut, Visitor
from api.console.pages import compare, offer, partners, runs, sign_in, tokens
from api.console.pages import offers as inventory
from api.console.pages import redemption_desk as desk
from api.console.routing import HEADERS, ConsoleRoute, lead_to_sign_in, refuse

PARTS = (sign_in, inventory, offer, runs, compare, desk, partners, tokens)

_rest = APIRouter(include_in_schema=False, route_class=ConsoleRoute)


class Static(StaticFiles):
    """Browsers keep the files, and ask each time whether they have changed."""

    def file_response(self, *given: Any, **more: Any) -> Response:
        response = super().file_response(*given, **more)
        response.headers.update(HEADERS | {"Cache-Control": "no-cache"})
        return response


def add_console(app: FastAPI) -> None:
    """Opens the console at /console."""
    app.state.refusals = {CONSOLE: refuse}
    app.add_exception_handler(SignedOut, lead_to_sign_in)
    app.mount(f"{CONSOLE}/static", Static(directory=Path(__file__).parent / "static"))
    for part in PARTS:
        app.include_router(part.router)
    app.include_router(_rest)


@_rest.get(f"{CONSOLE}/{{path:path}}")
def find_nothing(request: Request, visit: Visitor) -> Response:  # noqa: ARG001 - who is not signed in, may be
    raise HTTPException(404)
