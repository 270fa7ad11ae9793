"""Adds the console to the application: its pages, its static files and its error pages."""

import hashlib
from http import HTTPStatus
from os import PathLike, stat_result
from pathlib import Path

from fastapi import APIRouter, Depends, FastAPI, Response
from fastapi.responses import FileResponse
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from api.access.console_sessions import CONSOLE
from api.console.page_context import SignedOut, SliderMoved, page_context_for
from api.console.pages import compare, offer, offers, partners, redemption_desk, run_undo, runs, sign_in, tokens
from api.console.routing import SECURITY_HEADERS, ConsoleRoute, redirect_to_moved_state, redirect_to_sign_in
from api.dependencies.roles import ALL_ROLES
from api.parsing.entity_tags import IF_NONE_MATCH, is_not_modified

PAGE_ROUTERS = (sign_in, offers, offer, runs, run_undo, compare, redemption_desk, partners, tokens)

_unknown_pages = APIRouter(include_in_schema=False, route_class=ConsoleRoute)


class Static(StaticFiles):
    """Static files that browsers cache and revalidate at each use.

    The ETag is a digest of the file. Starlette's own is made of time and size. Files of an installed package may have fixed
    times, so a browser would keep the file of an earlier version."""

    def file_response(
        self, full_path: str | PathLike[str], stat_result: stat_result, scope: Scope, status_code: int = 200
    ) -> Response:
        headers = SECURITY_HEADERS | {"Cache-Control": "no-cache", "ETag": _file_tag(full_path)}
        if is_not_modified(Headers(scope=scope).getlist(IF_NONE_MATCH), headers["ETag"]):
            return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
        return FileResponse(full_path, status_code, headers, stat_result=stat_result)


def _file_tag(path: str | PathLike[str]) -> str:
    return f'"{hashlib.sha256(Path(path).read_bytes()).hexdigest()}"'


def add_console(app: FastAPI) -> None:
    """Mounts the console at /console."""
    app.add_exception_handler(SignedOut, redirect_to_sign_in)
    app.add_exception_handler(SliderMoved, redirect_to_moved_state)
    app.mount(f"{CONSOLE}/static", Static(directory=Path(__file__).parent / "static"))
    for page in PAGE_ROUTERS:
        app.include_router(page.router)
    app.include_router(_unknown_pages)


@_unknown_pages.get(f"{CONSOLE}/{{path:path}}", dependencies=[Depends(page_context_for(*ALL_ROLES))])
def show_not_found() -> Response:
    raise HTTPException(404)
