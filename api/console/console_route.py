"""What holds for all pages: refusals are pages too, browsers are told to load nothing from elsewhere, and a session goes on while
it is used.
"""

import logging
from http import HTTPStatus
from typing import Any

from fastapi import Request, Response
from fastapi.responses import RedirectResponse

from api.console.moment import link
from api.console.rendering import SIGN_IN, page, render
from api.console.session import Session
from api.console.visits import SignedOut, Visit, sessions_of
from api.problems import Problem, problem_of
from api.read_again import Handler, ReadAgain

logger = logging.getLogger("offer_ledger")

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self';"
        " base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}


class ConsoleRoute(ReadAgain):
    """A route whose answer is for a browser."""

    def get_route_handler(self) -> Handler:
        handle = super().get_route_handler()

        async def answer(request: Request) -> Response:
            try:
                response = await handle(request)
            except Exception as error:  # noqa: BLE001 - whatever it is, people get a page
                return refused(request, error)
            return _completed(request, response)

        return answer


def refused(request: Request, error: Exception) -> Response:
    """The page that says no."""
    return _completed(request, _refused(request, error))


def _completed(request: Request, response: Response) -> Response:
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
    _renew(request, response)
    return response


def _refused(request: Request, error: Exception) -> Response:
    if isinstance(error, SignedOut):
        return _to_sign_in(request)
    problem = problem_of(error)
    if problem.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        told = (request.method, request.url.path, problem.detail, request.state.trace_id)
        logger.error("%s %s: %s (traceId %s)", *told, exc_info=error)
    response = _problem_page(request, problem)
    response.headers.update(problem.headers)
    return response


def _to_sign_in(request: Request) -> Response:
    """And back again, if it was a page that was asked for."""
    following = {"next": f"{request.url.path}?{request.url.query}".rstrip("?")} if request.method == "GET" else {}
    return RedirectResponse(link(SIGN_IN, following), HTTPStatus.SEE_OTHER)


def _problem_page(request: Request, problem: Problem) -> Response:
    told: dict[str, Any] = {"problem": problem, "trace_id": request.state.trace_id}
    visit: Visit | None = getattr(request.state, "visit", None)
    if visit is None:
        return page("problem.html", problem.title, problem.status, **told)
    return render(visit, "problem.html", problem.title, problem.status, **told)


def _renew(request: Request, response: Response) -> None:
    visit: Visit | None = getattr(request.state, "visit", None)
    if visit is None or "set-cookie" in response.headers:
        return
    session, now = visit.session, visit.service.clock()
    if session.is_to_be_renewed(now):
        keep(request, response, sessions_of(visit.service).begin(session.token_sha256, now, session.key))


def keep(request: Request, response: Response, session: Session) -> None:
    """Gives the browser the session's cookie."""
    service = request.app.state.service
    sessions_of(service).keep(response, session, secure=request.url.scheme == "https")
