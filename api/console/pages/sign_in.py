"""How does somebody come in, and go out again?"""

from http import HTTPStatus

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse

from api.access.console_sessions import CONSOLE, forget
from api.console.page_context import Fields, require_own_form, signed_in
from api.console.rendering import OFFERS, SIGN_IN, SIGN_OUT, render_page
from api.console.routing import ConsoleRoute, keep
from api.dependencies.authentication import ServiceDep, digest_secret, find_caller
from projections.access.tokens import Caller

router = APIRouter(include_in_schema=False, route_class=ConsoleRoute)


@router.get(SIGN_IN)
def show_sign_in(request: Request, service: ServiceDep) -> Response:
    found = signed_in(request, service)
    return _page(request.query_params.get("next", ""), found[1] if found else None)


@router.post(SIGN_IN)
def sign_in(request: Request, service: ServiceDep, fields: Fields) -> Response:
    """Nothing is changed by it, and whoever sends it has the token: it needs no form token."""
    caller = find_caller(service, digest := digest_secret(fields.get("token", "").strip()))
    if caller is None:
        return _page(fields.get("next", ""), status=HTTPStatus.UNAUTHORIZED)
    response = RedirectResponse(_following(fields.get("next", "")), HTTPStatus.SEE_OTHER)
    keep(request, response, service.sessions.begin(digest, service.clock()))
    return response


@router.post(SIGN_OUT)
def sign_out(request: Request, service: ServiceDep, fields: Fields) -> Response:
    sessions = service.sessions
    if session := sessions.find(request, service.clock()):
        require_own_form(sessions, session, fields)
    response = RedirectResponse(SIGN_IN, HTTPStatus.SEE_OTHER)
    forget(response)
    return response


def _page(following: str, caller: Caller | None = None, status: HTTPStatus = HTTPStatus.OK) -> Response:
    """`caller`: who is signed in already, and is not to become somebody else by following a link."""
    refused = status is not HTTPStatus.OK
    return render_page(
        "sign_in.html", "Sign in", status, following=_following(following), caller=caller, refused=refused
    )


def _following(path: str) -> str:
    """Where to go then: to a page of the console, and nowhere else."""
    is_ours = path == CONSOLE or path.startswith((f"{CONSOLE}/", f"{CONSOLE}?"))
    leaves = "\\" in path or "/.." in path or not path.isprintable()
    return path if is_ours and not leaves else OFFERS
