"""The route class of all pages: it adds security headers, renders problems as pages and renews the session."""

from http import HTTPStatus
from typing import Any

from fastapi import Request, Response
from fastapi.responses import RedirectResponse

from api.access.console_sessions import Session
from api.console.page_context import SliderMoved, page_context_of
from api.console.rendering import OFFERS, SIGN_IN, render, render_page
from api.console.time_travel import link
from api.dependencies.runtime import runtime_of
from api.http.problems import Problem
from api.http.request_state import request_state
from api.server.retry_route import Handler, RetryingRoute

SECURITY_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self';"
        " form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}


class ConsoleRoute(RetryingRoute):
    """A route that adds the headers of a page to its response and renews the session."""

    def get_route_handler(self) -> Handler:
        handle = super().get_route_handler()

        async def answer(request: Request) -> Response:
            return _finish(request, await handle(request))

        return answer


def show_problem(request: Request, problem: Problem) -> Response:
    """Renders a problem as a page, with the menu if the caller is signed in."""
    members: dict[str, Any] = {"problem": problem, "trace_id": request_state(request).trace_id}
    context = page_context_of(request)
    if context is None:
        response = render_page("problem.html", problem.title, problem.status, **members)
    else:
        response = render(context, "problem.html", problem.title, problem.status, **members)
    response.headers.update(problem.headers)
    return _finish(request, response)


def redirect_to_sign_in(request: Request, _: Exception) -> Response:
    """Redirects to the sign-in page, which returns to the requested page if the request was a GET."""
    return_to = {"next": f"{request.url.path}?{request.url.query}".rstrip("?")} if request.method == "GET" else {}
    return _finish(request, RedirectResponse(link(SIGN_IN, return_to), HTTPStatus.SEE_OTHER))


def redirect_to_moved_state(request: Request, moved: Exception) -> Response:
    """Redirects to the state that the slider was moved to."""
    location = moved.location if isinstance(moved, SliderMoved) else OFFERS
    return _finish(request, RedirectResponse(location, HTTPStatus.SEE_OTHER))


def _finish(request: Request, response: Response) -> Response:
    for name, value in SECURITY_HEADERS.items():
        response.headers.setdefault(name, value)
    _renew(request, response)
    return response


def _renew(request: Request, response: Response) -> None:
    context = page_context_of(request)
    if context is None or "set-cookie" in response.headers:
        return
    session, now = context.session, context.service.clock()
    if session.needs_renewal(now):
        set_session_cookie(request, response, context.service.sessions.create(session.token_sha256, now, session.key))


def set_session_cookie(request: Request, response: Response, session: Session) -> None:
    runtime_of(request).service.sessions.set_cookie(response, session, secure=request.url.scheme == "https")
