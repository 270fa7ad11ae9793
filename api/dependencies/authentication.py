"""Authenticates the caller by its token, and checks its role and its requests per minute."""

import hashlib
from collections.abc import Awaitable, Callable, Collection
from http import HTTPStatus
from typing import Annotated, TypeVar, TypeVarTuple

from anyio import to_thread
from fastapi import Depends, Request

from api.access.console_sessions import CONSOLE
from api.dependencies.runtime import runtime_of
from api.http.paths import Vendor, is_ingestion, vendor_of
from api.http.problems import Problem
from api.http.query_params import no_repeats
from api.http.request_state import request_state
from api.service import Service
from domain.store.retry import retry_transaction
from domain.values import Origin, Role, Source, to_microseconds
from projections.access.tokens import Caller, callers_lookup

_T = TypeVar("_T")
_Arguments = TypeVarTuple("_Arguments")

SCHEMES = ("apitoken", "bearer")


async def service_of(request: Request) -> Service:
    """Asynchronous because FastAPI would call a plain function in a thread."""
    return runtime_of(request).service


ServiceDep = Annotated[Service, Depends(service_of)]


def digest_secret(secret: str) -> str:
    """Returns the stored form of a secret. It has 256 random bits, so a plain SHA-256 cannot be reversed."""
    return hashlib.sha256(secret.encode()).hexdigest()


def require_roles(*roles: Role) -> Callable[[Request, Service], Caller]:
    """Makes a dependency that returns the caller, if it has one of the roles.

    Every request reads the token, so that a changed or revoked token takes effect at once. The dependency raises
    Problem 401, 403 or 429, and 422 for a repeated parameter."""

    def authorise(request: Request, service: ServiceDep) -> Caller:
        return require_role(request, service, find_caller(service, token_digest(request)), roles)

    return authorise


def require_roles_async(*roles: Role) -> Callable[[Request, Service], Awaitable[Caller]]:
    """Makes the dependency of `require_roles` for hot paths: on PostgreSQL, concurrent requests share token queries."""

    async def authorise(request: Request, service: ServiceDep) -> Caller:
        lookup = await runtime_of(request).callers.find(token_digest(request))
        return await run_counted(service, require_role, request, service, lookup.caller, roles)

    return authorise


async def run_counted(service: Service, function: Callable[[*_Arguments], _T], *args: *_Arguments) -> _T:
    """Runs a function that counts requests: in a thread if it may have to wait for Redis, else in the event loop."""
    return await to_thread.run_sync(function, *args) if service.limiter.may_block else function(*args)


def require_role(request: Request, service: Service, caller: Caller | None, roles: Collection[Role]) -> Caller:
    """Counts the request, and raises the problems of `require_roles`."""
    if caller is None:
        raise _unauthorised("The token is unknown, revoked or expired")
    state = request_state(request)
    state.token_name = caller.name
    if caller.role not in roles:
        raise Problem(HTTPStatus.FORBIDDEN, "forbidden", f"The role {caller.role} may not do this.")
    if not state.is_counted and not is_ingestion(request):
        state.is_counted = True  # before the check, so that a retry is not counted
        _require_rate(caller, service)
    if vendor_of(request) is not Vendor.MERCHANT:  # merchant calls count invalid requests first, then check them
        no_repeats(request)
    return caller


async def count_repetition(service: Service, caller: Caller) -> None:
    """Counts a request that repeats an accepted one: it uses no slot, so it is a call like any other. Raises Problem 429."""
    await run_counted(service, _require_rate, caller, service)


async def require_accepted_uploads(service: Service, caller: Caller) -> None:
    """Raises Problem 429 if too many uploads of the token have been refused in the last minute."""
    limit = caller.requests_per_minute
    seconds = await run_counted(service, service.limiter.seconds_until_upload, caller.name, limit)
    if seconds is not None:
        detail = f"At most {limit} refused uploads per minute for this token."
        raise Problem(HTTPStatus.TOO_MANY_REQUESTS, "too-many-requests", detail, headers={"Retry-After": str(seconds)})


async def count_refused_upload(service: Service, caller: Caller) -> None:
    """Counts a refused upload: it uses no slot, so it is a call like any other."""
    await run_counted(service, service.limiter.count_refused_upload, caller.name, caller.requests_per_minute)


def origin_of(request: Request, caller: Caller, source: Source) -> Origin:
    """Returns the origin of the commits that a request causes."""
    return Origin(caller.name, source, request_state(request).traceparent)


def is_still_authorised(request: Request, service: Service, caller: Caller) -> bool:
    """Returns True if the token of a long request is still valid, with the same role and partner."""
    return find_caller(service, token_digest(request)) == caller


def token_digest(request: Request) -> str:
    """Returns the digest of the secret in the `Authorization` header. Raises Problem 401."""
    values = request.headers.getlist("Authorization")
    scheme, _, secret = (values[0] if values else "").partition(" ")
    if scheme.lower() not in SCHEMES or not secret.strip():
        raise _unauthorised("Send a token: Authorization: ApiToken <token>")
    if len(values) > 1:
        raise _unauthorised("Send one token, not several")
    return digest_secret(secret.strip())


def named_token(request: Request, service: Service) -> str | None:
    """Returns the digest of the token that a request names, before the token is read. None: the request names no token.

    However the request spells the token, the digest is the same: on the console, too, in each of the token's sessions."""
    if request.scope["path"].startswith(CONSOLE):
        session = service.sessions.find(request, service.clock())
        return session.token_sha256 if session else None
    try:
        return token_digest(request)
    except Problem:
        return None


@retry_transaction
def find_caller(service: Service, digest: str) -> Caller | None:
    """Returns the owner of the valid token with this digest."""
    with service.ledger.recorder.read() as tx:
        (callers,) = tx.read_together(callers_lookup(tx.dialect.in_list([digest]), to_microseconds(service.clock())))
    return callers.get(digest)  # type: ignore[no-any-return]


def _require_rate(caller: Caller, service: Service) -> None:
    seconds = service.limiter.count_token_request(caller.name, caller.requests_per_minute)
    if seconds is not None:
        detail = f"This token may make {caller.requests_per_minute} requests per minute."
        raise Problem(HTTPStatus.TOO_MANY_REQUESTS, "too-many-requests", detail, headers={"Retry-After": str(seconds)})


def _unauthorised(detail: str) -> Problem:
    headers = {"WWW-Authenticate": 'ApiToken realm="offer-ledger", Bearer realm="offer-ledger"'}
    return Problem(HTTPStatus.UNAUTHORIZED, "unauthorized", f"{detail}.", headers=headers)
