"""What is served? The routes, and what holds for all of them."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext
from typing import Any
from uuid import uuid4

from fastapi import APIRouter, Depends, FastAPI, Request
from fastapi.openapi.utils import get_openapi
from pydantic.json_schema import models_json_schema
from starlette.types import ASGIApp, Receive, Scope, Send

from api import health
from api.audit import diff_routes as audit
from api.audit import event_routes as audit_events
from api.audit import stream_routes as audit_stream
from api.channels import batch_routes as batch
from api.channels import merchant_routes as merchants
from api.channels import offers_file_routes as offers_files
from api.channels.merchant_queue import SingleRequests
from api.console.app import add_console
from api.dependencies.authentication import may
from api.dependencies.caller_lookup import Lookups
from api.dependencies.replica import standby_of
from api.http.ledger_position import Positions, describe, with_position
from api.http.problem_schemas import ProblemReply
from api.http.problems import handle_problems
from api.http.query_params import no_parameters
from api.intake.batch_schemas import BatchRequest
from api.intake.merchant_schemas import MerchantOffer
from api.intake.offers_file_schemas import OffersFileRequest
from api.offers import routes as offers
from api.redemption import activation_batch_routes as activation_batch
from api.redemption import activation_routes as activations
from api.redemption import feed_routes as redemption_feed
from api.redemption import redemption_routes as redemptions
from api.redemption import verdict_routes as verdicts
from api.redemption import window_routes as redemption_windows
from api.redemption.activation_schemas import ActivationRequest, FlightRequest
from api.redemption.redemption_schemas import RedemptionRequest, ReversalRequest
from api.runs import routes as runs
from api.runs.supervisor import RunDesk
from api.server.group_commit import GroupCommit
from api.server.ledger_watcher import Lookout
from api.server.shutdown import Leaving
from api.server.streaming import Streams
from api.wiring import Service
from domain.values import Role

_TRACEPARENT = re.compile(rb"[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")
_REFERENCE = "#/components/schemas/{model}"


# They are tried one after the other: those first of which there are many requests.
PARTS = (
    merchants,
    activation_batch,
    activations,
    redemptions,
    audit,
    audit_events,
    audit_stream,
    redemption_windows,
    redemption_feed,
    verdicts,
    batch,
    offers_files,
    runs,
    offers,
    health,
)


def create_app(service: Service, *, warm: bool = False) -> FastAPI:
    """No interactive documentation: it would be open to all and load scripts from elsewhere.

    `warm`: starts a helper process before anybody needs it."""
    desk, leaving, standby = RunDesk(service), Leaving(), standby_of(service)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        leaving.open()
        await desk.open(warm=warm)
        with standby.open() if standby else nullcontext():
            yield
        await desk.close()

    app = FastAPI(
        title="Offer Ledger",
        version="0.1.0",
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        lifespan=lifespan,
    )
    app.state.desk = desk
    app.state.leaving = leaving
    app.state.standby = standby
    _equip(app, service, leaving)
    app.add_middleware(Positions)
    app.add_middleware(Tracing)
    handle_problems(app)
    for part in PARTS:
        app.include_router(part.router)
    app.include_router(_openapi_router(app))
    add_console(app)
    return app


def _equip(app: FastAPI, service: Service, leaving: Leaving) -> None:
    """With what all requests share."""
    app.state.service = service
    app.state.refusals = {}
    app.state.lookout = Lookout(service.ledger, leaving)
    app.state.streams = Streams(leaving)
    app.state.lookups = Lookups(service)
    app.state.single_requests = SingleRequests(service.traces)
    app.state.activations = GroupCommit(with_position(service.ledger, service.activations.carry_out))
    app.state.redemptions = GroupCommit(with_position(service.ledger, service.redemptions.carry_out))


class Tracing:
    """Gives every request the id by which its refusal is found, in the log too: its W3C trace id, or a new one."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            sent = _TRACEPARENT.fullmatch(dict(scope["headers"]).get(b"traceparent", b""))
            state = scope.setdefault("state", {})
            state["trace_id"] = sent[1].decode() if sent else uuid4().hex
            state["traceparent"] = sent[0].decode() if sent else None
        await self.app(scope, receive, send)


def openapi_document(app: FastAPI) -> dict[str, Any]:
    """The routes' own description, with the models that they refer to without FastAPI's help."""
    document = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
    _, extra = models_json_schema(
        [
            (ActivationRequest, "validation"),
            (FlightRequest, "validation"),
            (RedemptionRequest, "validation"),
            (ReversalRequest, "validation"),
            (BatchRequest, "validation"),
            (MerchantOffer, "validation"),
            (OffersFileRequest, "validation"),
            (ProblemReply, "serialization"),
        ],
        ref_template=_REFERENCE,
    )
    describe(document)
    components = document.setdefault("components", {})
    components.setdefault("schemas", {}).update(extra["$defs"])
    components["securitySchemes"] = {
        "ApiToken": {
            "type": "apiKey",
            "in": "header",
            "name": "Authorization",
            "description": "Authorization: ApiToken <token>",
        },
        "Bearer": {"type": "http", "scheme": "bearer"},
    }
    document["security"] = [{"ApiToken": []}, {"Bearer": []}]
    return document


def _openapi_router(app: FastAPI) -> APIRouter:
    router = APIRouter(include_in_schema=False, dependencies=[Depends(may(*Role))])

    @router.get("/api/v1/openapi.json")
    def openapi(request: Request) -> dict[str, Any]:
        no_parameters(request)
        return openapi_document(app)

    return router
