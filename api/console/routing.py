"""What holds for all pages: refusals are pages too, browsers are told to load nothing from elsewhere, and a session goes on while
it is used.
"""

from http import HTTPStatus
from typing import Any

from fastapi import Request, Response
from fastapi.responses import RedirectResponse

from api.access.console_sessions import Session
from api.console.page_context import PageContext
from api.console.rendering import SIGN_IN, render, render_page
from api.console.time_travel import link
from api.http.problems import Problem
from api.server.retry_route import Handler, RetryingRoute

SECURITY_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self';"
        " base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}


class ConsoleRoute(RetryingRoute):
    """A route whose answer is for a browser."""

    def get_route_handler(self) -> Handler:
        handle = super().get_route_handler()

        async def answer(request: Request) -> Response:
            return _completed(request, await handle(request))

        return answer


def refuse(request: Request, problem: Problem) -> Response:
    """The page that says no."""
    told: dict[str, Any] = {"problem": problem, "trace_id": request.state.trace_id}
    context: PageContext | None = getattr(request.state, "context", None)
    if context is None:
        response = render_page("problem.html", problem.title, problem.status, **told)
    else:
        response = render(context, "problem.html", problem.title, problem.status, **told)
    response.headers.update(problem.headers)
    return _completed(request, response)


def lead_to_sign_in(request: Request, _: Exception) -> Response:
    """And back again, if it was a page that was asked for."""
    following = {"next": f"{request.url.path}?{request.url.query}".rstrip("?")} if request.method == "GET" else {}
    return _completed(request, RedirectResponse(link(SIGN_IN, following), HTTPStatus.SEE_OTHER))


def _completed(request: Request, response: Response) -> Response:
    for name, value in SECURITY_HEADERS.items():
        response.headers.setdefault(name, value)
    _renew(request, response)
    return response


def _renew(request: Request, response: Response) -> None:
    context: PageContext | None = getattr(request.state, "context", None)
    if context is None or "set-cookie" in response.headers:
        return
    session, now = context.session, context.service.clock()
    if session.is_to_be_renewed(now):
        keep(request, response, context.service.sessions.begin(session.token_sha256, now, session.key))


def keep(request: Request, response: Response, session: Session) -> None:
    """Gives the browser the session's cookie."""
    request.app.state.service.sessions.keep(response, session, secure=request.url.scheme == "https")
