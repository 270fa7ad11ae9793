"""The sign-in page, and signing out."""

from http import HTTPStatus

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse

from api.access.console_sessions import CONSOLE, delete_session_cookie
from api.console.page_context import FormFields, find_session, require_own_form
from api.console.rendering import OFFERS, SIGN_IN, SIGN_OUT, render_page
from api.console.routing import ConsoleRoute, set_session_cookie
from api.dependencies.authentication import ServiceDep, digest_secret, find_caller
from api.http.request_state import request_state
from projections.access.tokens import Caller

router = APIRouter(include_in_schema=False, route_class=ConsoleRoute)


@router.get(SIGN_IN)
def show_sign_in(request: Request, service: ServiceDep) -> Response:
    session = find_session(request, service)
    return _page(request.query_params.get("next", ""), session[1] if session else None)


@router.post(SIGN_IN)
def sign_in(request: Request, service: ServiceDep, fields: FormFields) -> Response:
    """Starts a session. Needs no form token: signing in changes no data, and the sender must know the token."""
    caller = find_caller(service, digest := digest_secret(fields.get("token", "").strip()))
    state = request_state(request)
    if caller is None:
        state.problem = "unauthorized"
        return _page(fields.get("next", ""), status=HTTPStatus.UNAUTHORIZED)
    state.token_name = caller.name
    response = RedirectResponse(_safe_path(fields.get("next", "")), HTTPStatus.SEE_OTHER)
    set_session_cookie(request, response, service.sessions.create(digest, service.clock()))
    return response


@router.post(SIGN_OUT)
def sign_out(request: Request, service: ServiceDep, fields: FormFields) -> Response:
    sessions = service.sessions
    if session := sessions.find(request, service.clock()):
        require_own_form(sessions, session, fields)
    response = RedirectResponse(SIGN_IN, HTTPStatus.SEE_OTHER)
    delete_session_cookie(response)
    return response


def _page(return_to: str, caller: Caller | None = None, status: HTTPStatus = HTTPStatus.OK) -> Response:
    """Renders the page. With a `caller`, the browser has a session: a sign-in link must not replace it."""
    refused = status is not HTTPStatus.OK
    return render_page(
        "sign_in.html", "Sign in", status, return_to=_safe_path(return_to), caller=caller, refused=refused
    )


def _safe_path(path: str) -> str:
    """Returns the path if it is a page of the console, or else the page Offers."""
    is_ours = path == CONSOLE or path.startswith((f"{CONSOLE}/", f"{CONSOLE}?"))
    leaves = "\\" in path or "/.." in path or not path.isprintable()
    return path if is_ours and not leaves else OFFERS
