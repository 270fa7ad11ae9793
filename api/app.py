"""What is served? The routes, and what holds for all of them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext

from fastapi import FastAPI

from api import health
from api.audit import diff_routes, event_routes, stream_routes
from api.channels import batch_routes, merchant_routes, offers_file_routes
from api.channels.merchant_queue import MerchantQueue
from api.console.app import add_console
from api.dependencies.caller_lookup import CallerLookup
from api.dependencies.replica import replica_of
from api.http.exception_handlers import handle_problems
from api.http.ledger_position import LedgerPositionMiddleware, with_position
from api.offers import routes as offers
from api.openapi import _openapi_router
from api.redemption import (
    activation_batch_routes,
    activation_routes,
    feed_routes,
    flight_routes,
    redemption_routes,
    verdict_routes,
    window_routes,
)
from api.runs import routes as runs
from api.runs.supervisor import RunSupervisor
from api.server.group_commit import GroupCommit
from api.server.ledger_watcher import LedgerWatcher
from api.server.shutdown import ShutdownSignal
from api.server.streaming import StreamResponses
from api.server.tracing import Tracing
from api.service import Service

# They are tried one after the other: those first of which there are many requests.
ROUTERS = (
    merchant_routes,
    activation_batch_routes,
    activation_routes,
    flight_routes,
    redemption_routes,
    diff_routes,
    event_routes,
    stream_routes,
    window_routes,
    feed_routes,
    verdict_routes,
    batch_routes,
    offers_file_routes,
    runs,
    offers,
    health,
)


def create_app(service: Service, *, warm: bool = False) -> FastAPI:
    """No interactive documentation: it would be open to all and load scripts from elsewhere.

    `warm`: starts a helper process before anybody needs it."""
    desk, leaving, standby = RunSupervisor(service), ShutdownSignal(), replica_of(service)

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
    app.add_middleware(LedgerPositionMiddleware)
    app.add_middleware(Tracing)
    handle_problems(app)
    for part in ROUTERS:
        app.include_router(part.router)
    app.include_router(_openapi_router(app))
    add_console(app)
    return app


def _equip(app: FastAPI, service: Service, leaving: ShutdownSignal) -> None:
    """With what all requests share."""
    app.state.service = service
    app.state.refusals = {}
    app.state.lookout = LedgerWatcher(service.ledger, leaving)
    app.state.streams = StreamResponses(leaving)
    app.state.lookups = CallerLookup(service)
    app.state.single_requests = MerchantQueue(service.single_requests)
    app.state.activations = GroupCommit(with_position(service.ledger, service.activations.execute))
    app.state.redemptions = GroupCommit(with_position(service.ledger, service.redemptions.execute))
