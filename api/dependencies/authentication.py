"""Who is calling, and may they?"""

import hashlib
from collections.abc import Awaitable, Callable, Collection
from http import HTTPStatus
from typing import Annotated, TypeVar, TypeVarTuple

from anyio import to_thread
from fastapi import Depends, Request

from api.dependencies.runtime import runtime_of
from api.http.paths import Vendor, is_ingestion, vendor_of
from api.http.problems import Problem
from api.http.query_params import no_repeats
from api.http.request_state import request_state
from api.service import Service
from domain.store.retry import retry_transaction
from domain.values import Role, to_microseconds
from projections.access.tokens import Caller, find_callers

_T = TypeVar("_T")
_Arguments = TypeVarTuple("_Arguments")

SCHEMES = ("apitoken", "bearer")


async def service_of(request: Request) -> Service:
    """Not a plain function: FastAPI would begin a thread for it."""
    return runtime_of(request).service


ServiceDep = Annotated[Service, Depends(service_of)]


def digest_secret(secret: str) -> str:
    """How a token's secret is stored. It has 256 random bits, so a plain SHA-256 can't be turned back."""
    return hashlib.sha256(secret.encode()).hexdigest()


def require_roles(*roles: Role) -> Callable[[Request, Service], Caller]:
    """A dependency that gives the caller, if its role is one of these. Looks the token up anew for every request, so
    that what is changed holds at once. Raises Problem 401, 403, 429, or 422 for a parameter given twice."""

    def authorise(request: Request, service: ServiceDep) -> Caller:
        return require_role(request, service, find_caller(service, token_digest(request)), roles)

    return authorise


def require_roles_async(*roles: Role) -> Callable[[Request, Service], Awaitable[Caller]]:
    """The same for calls that come in great numbers."""

    async def authorise_at_once(request: Request, service: ServiceDep) -> Caller:
        found = await runtime_of(request).callers.find(token_digest(request))
        return await run_counted(service, require_role, request, service, found.caller, roles)

    return authorise_at_once


async def run_counted(service: Service, function: Callable[[*_Arguments], _T], *given: *_Arguments) -> _T:
    """For what counts requests: in the event loop, but not where it may have to wait for another machine. Everybody else would
    wait for that, too."""
    return await to_thread.run_sync(function, *given) if service.limiter.may_block else function(*given)


def require_role(request: Request, service: Service, caller: Caller | None, roles: Collection[Role]) -> Caller:
    """Raises what `require_roles` raises; counts the request."""
    if caller is None:
        raise _unauthorised("The token is unknown, revoked or expired")
    if caller.role not in roles:
        raise Problem(HTTPStatus.FORBIDDEN, "forbidden", f"The role {caller.role} may not do this.")
    state = request_state(request)
    if not state.is_counted and not is_ingestion(request):
        state.is_counted = True  # also for a retry
        _require_pace(caller, service)
    if vendor_of(request) is not Vendor.MERCHANT:  # there, what is wrong counts, and is looked for later
        no_repeats(request)
    return caller


def is_still_authorised(request: Request, service: Service, caller: Caller) -> bool:
    """Whether the caller of a request that takes long may still do what it was allowed to."""
    return find_caller(service, token_digest(request)) == caller


def token_digest(request: Request) -> str:
    """That of the secret which a request comes with. Raises Problem 401."""
    told = request.headers.getlist("Authorization")
    scheme, _, secret = (told[0] if told else "").partition(" ")
    if scheme.lower() not in SCHEMES or not secret.strip():
        raise _unauthorised("Send a token: Authorization: ApiToken <token>")
    if len(told) > 1:
        raise _unauthorised("Send one token, not several")
    return digest_secret(secret.strip())


@retry_transaction
def find_caller(service: Service, digest: str) -> Caller | None:
    """Whose token has that digest, if it is still in use."""
    with service.ledger.recorder.read() as tx:
        return find_callers(tx, [digest], to_microseconds(service.clock())).get(digest)


def _require_pace(caller: Caller, service: Service) -> None:
    seconds = service.limiter.count_token_request(caller.name, caller.requests_per_minute)
    if seconds is not None:
        detail = f"This token may make {caller.requests_per_minute} requests per minute."
        raise Problem(HTTPStatus.TOO_MANY_REQUESTS, "too-many-requests", detail, headers={"Retry-After": str(seconds)})


def _unauthorised(detail: str) -> Problem:
    headers = {"WWW-Authenticate": 'ApiToken realm="offer-ledger", Bearer realm="offer-ledger"'}
    return Problem(HTTPStatus.UNAUTHORIZED, "unauthorized", f"{detail}.", headers=headers)
