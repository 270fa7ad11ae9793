"""Liveness and readiness probes, and the start page."""

from http import HTTPStatus
from importlib.metadata import version
from typing import Annotated, Literal

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse
from pydantic import BaseModel, Field

from api.access.console_sessions import CONSOLE
from api.dependencies.authentication import ServiceDep
from api.dependencies.runtime import runtime_of
from api.http.content_negotiation import preferred
from api.http.problems import Problem
from api.http.replies import HTML, JSON, json_response
from domain.ledgers.ledger import StorageError
from domain.store.commit import current_head
from domain.store.schema import SCHEMA_VERSION

PROGRAM: dict[str, str | int] = {
    "service": "offer-ledger",
    "version": version("offer-ledger"),
    "schema": SCHEMA_VERSION,
}
"""Identifies this program among others that answer at the same path. `schema` is the schema version that it needs."""

router = APIRouter(tags=["service"])


class ProgramReply(BaseModel):
    """The program that answers."""

    service: Literal["offer-ledger"]
    version: str
    schema_: Annotated[int, Field(alias="schema")]


class HealthReply(ProgramReply):
    """The process is alive."""

    status: Literal["ok"]


class ClockReply(BaseModel):
    """The state of the server's clock."""

    state: Literal["ok", "behind-newest-commit", "jumped"]
    seconds: int


class ReadyReply(ProgramReply):
    """The service can read its ledger."""

    status: Literal["ready"]
    position: int
    clock: ClockReply


class StartReply(ProgramReply):
    """The places of the service."""

    console: str
    openapi: str


@router.get("/healthz", responses={200: {"model": HealthReply}})
async def healthz() -> dict[str, str | int]:
    """Report liveness: the process answers."""
    return {"status": "ok", **PROGRAM}


@router.get("/readyz", responses={200: {"model": ReadyReply}})
def readyz(request: Request, service: ServiceDep, response: Response) -> dict[str, str | int | dict[str, str | int]]:
    """Report readiness: the ledger can be read. The reply says whether the clock is right."""
    try:
        with service.ledger.recorder.read() as tx:
            position = current_head(tx).position
            report = runtime_of(request).clock_monitor.check(tx)
    except StorageError:
        raise Problem(HTTPStatus.SERVICE_UNAVAILABLE, "not-ready", "The ledger can't be read.") from None
    response.headers["Cache-Control"] = "no-store"
    clock: dict[str, str | int] = {"state": report.state, "seconds": report.seconds}
    return {"status": "ready", "position": position, "clock": clock, **PROGRAM}


@router.get("/", responses={200: {"model": StartReply}, 303: {"description": "A browser is sent to the console."}})
async def show_start(request: Request) -> Response:
    """Send a browser to the console, and name the places of the service to other clients."""
    headers = {"Vary": "Accept", "Cache-Control": "no-store"}
    if preferred(request.headers.getlist("Accept"), (JSON, HTML)) == HTML:
        return RedirectResponse(CONSOLE, HTTPStatus.SEE_OTHER, headers)
    return json_response({**PROGRAM, "console": CONSOLE, "openapi": "/api/v1/openapi.json"}, headers=headers)
