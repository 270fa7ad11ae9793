"""Adds the console to the application: its pages, its static files and its error pages."""

from pathlib import Path
from typing import Any

from fastapi import APIRouter, Depends, FastAPI, Response
from starlette.exceptions import HTTPException
from starlette.staticfiles import StaticFiles

from api.access.console_sessions import CONSOLE
from api.console.page_context import SignedOut, page_context_for
from api.console.pages import compare, offer, offers, partners, redemption_desk, runs, sign_in, tokens
from api.console.routing import SECURITY_HEADERS, ConsoleRoute, redirect_to_sign_in
from api.dependencies.roles import ALL_ROLES

PAGE_ROUTERS = (sign_in, offers, offer, runs, compare, redemption_desk, partners, tokens)

_unknown_pages = APIRouter(include_in_schema=False, route_class=ConsoleRoute)


class Static(StaticFiles):
    """Static files that browsers cache and revalidate at each use."""

    def file_response(self, *args: Any, **kwargs: Any) -> Response:
        response = super().file_response(*args, **kwargs)
        response.headers.update(SECURITY_HEADERS | {"Cache-Control": "no-cache"})
        return response


def add_console(app: FastAPI) -> None:
    """Mounts the console at /console."""
    app.add_exception_handler(SignedOut, redirect_to_sign_in)
    app.mount(f"{CONSOLE}/static", Static(directory=Path(__file__).parent / "static"))
    for page in PAGE_ROUTERS:
        app.include_router(page.router)
    app.include_router(_unknown_pages)


@_unknown_pages.get(f"{CONSOLE}/{{path:path}}", dependencies=[Depends(page_context_for(*ALL_ROLES))])
def show_not_found() -> Response:
    raise HTTPException(404)
