"""What is served? The routes, and what holds for all of them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext

from fastapi import FastAPI

from api import health
from api.audit import diff_routes as audit
from api.audit import event_routes as audit_events
from api.audit import stream_routes as audit_stream
from api.channels import batch_routes as batch
from api.channels import merchant_routes as merchants
from api.channels import offers_file_routes as offers_files
from api.channels.merchant_queue import SingleRequests
from api.console.app import add_console
from api.dependencies.caller_lookup import Lookups
from api.dependencies.replica import standby_of
from api.http.exception_handlers import handle_problems
from api.http.ledger_position import Positions, with_position
from api.offers import routes as offers
from api.openapi import _openapi_router
from api.redemption import activation_batch_routes as activation_batch
from api.redemption import activation_routes as activations
from api.redemption import feed_routes as redemption_feed
from api.redemption import redemption_routes as redemptions
from api.redemption import verdict_routes as verdicts
from api.redemption import window_routes as redemption_windows
from api.runs import routes as runs
from api.runs.supervisor import RunDesk
from api.server.group_commit import GroupCommit
from api.server.ledger_watcher import Lookout
from api.server.shutdown import Leaving
from api.server.streaming import Streams
from api.server.tracing import Tracing
from api.service import Service

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
