"""Who is calling, and may they?"""

import hashlib
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Annotated, TypeVar, TypeVarTuple

from anyio import to_thread
from fastapi import Depends, Request

from api.problems import Problem, Vendor, is_ingestion, vendor_of
from api.schemas.query import no_repeats
from api.wiring import Service
from domain.store.again import again
from domain.values import Role, to_microseconds
from projections.tokens import Caller, find_caller

T = TypeVar("T")
Given = TypeVarTuple("Given")

SCHEMES = ("apitoken", "bearer")


async def service_of(request: Request) -> Service:
    """Not a plain function: FastAPI would begin a thread for it."""
    service: Service = request.app.state.service
    return service


Here = Annotated[Service, Depends(service_of)]


def digest_secret(secret: str) -> str:
    """How a token's secret is stored. It has 256 random bits, so a plain SHA-256 can't be turned back."""
    return hashlib.sha256(secret.encode()).hexdigest()


def may(*roles: Role) -> Callable[[Request, Service], Caller]:
    """A dependency that gives the caller, if its role is one of these. Looks the token up anew for every request, so
    that what is changed holds at once. Raises Problem 401, 403, 429, or 422 for a parameter given twice."""

    def authorise(request: Request, service: Here) -> Caller:
        caller = _authenticate(request, service)
        if caller.role not in roles:
            raise Problem(HTTPStatus.FORBIDDEN, "forbidden", f"The role {caller.role} may not do this.")
        if not is_ingestion(request):
            _require_pace(caller, service)
        if vendor_of(request) is not Vendor.MERCHANT:  # there, what is wrong counts, and is looked for later
            no_repeats(request)
        return caller

    return authorise


def may_at_once(*roles: Role) -> Callable[[Request, Service], Awaitable[Caller]]:
    """The same for calls that come in great numbers."""
    authorise = may(*roles)

    async def authorise_at_once(request: Request, service: Here) -> Caller:
        return await looked_up(service, authorise, request, service)

    return authorise_at_once


async def looked_up(service: Service, function: Callable[[*Given], T], *given: *Given) -> T:
    """For what takes a few rows of a snapshot, which no writer holds up: in the event loop; the threads of many callers would
    quarrel about the interpreter for longer than that. Not where it may have to wait for another machine: everybody else
    would wait for that, too."""
    if service.limiter.may_wait or service.settings.is_shared:
        return await to_thread.run_sync(function, *given)
    return function(*given)


MayAudit = Annotated[Caller, Depends(may(Role.PARTNER, Role.AUDITOR, Role.OPERATOR))]


def is_still(request: Request, service: Service, caller: Caller) -> bool:
    """Whether the caller of a request that takes long may still do what it was allowed to."""
    try:
        return _authenticate(request, service) == caller
    except Problem:
        return False


def _authenticate(request: Request, service: Service) -> Caller:
    scheme, _, secret = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() not in SCHEMES or not secret.strip():
        raise _unauthorised("Send a token: Authorization: ApiToken <token>")
    if len(request.headers.getlist("Authorization")) > 1:
        raise _unauthorised("Send one token, not several")
    caller = _find(service, digest_secret(secret.strip()))
    if caller is None:
        raise _unauthorised("The token is unknown, revoked or expired")
    return caller


@again
def _find(service: Service, digest: str) -> Caller | None:
    with service.ledger.recorder.reading() as tx:
        return find_caller(tx, digest, to_microseconds(service.clock()))


def _require_pace(caller: Caller, service: Service) -> None:
    seconds = service.limiter.seconds_to_wait(caller.name, caller.requests_per_minute)
    if seconds is not None:
        detail = f"This token may make {caller.requests_per_minute} requests per minute."
        raise Problem(HTTPStatus.TOO_MANY_REQUESTS, "too-many-requests", detail, headers={"Retry-After": str(seconds)})


def _unauthorised(detail: str) -> Problem:
    headers = {"WWW-Authenticate": 'ApiToken realm="offer-ledger", Bearer realm="offer-ledger"'}
    return Problem(HTTPStatus.UNAUTHORIZED, "unauthorized", f"{detail}.", headers=headers)
