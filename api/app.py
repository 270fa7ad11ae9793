"""Builds the application: its routes, middleware, problem replies and runtime."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext
from functools import partial
from importlib.metadata import version

from fastapi import FastAPI
from fastapi.routing import APIRoute
from starlette.types import ASGIApp

from api import health, problem_routes
from api.access.console_sessions import CONSOLE
from api.audit import diff_routes, event_routes, stream_routes
from api.bounds.allowances import Allowance
from api.bounds.settings import BoundSettings
from api.channels import batch_routes, merchant_routes, offers_file_routes
from api.console.app import add_console
from api.console.routing import show_problem
from api.dependencies.authentication import named_token
from api.dependencies.caller_lookup import CallerLookup
from api.dependencies.replica import replica_of
from api.dependencies.waiting_bodies import WaitingBodies
from api.http.exception_handlers import handle_problems
from api.http.ledger_position import LedgerPositionMiddleware, with_position
from api.offers import hold_routes
from api.offers import routes as offers
from api.openapi.document import openapi_router
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
from api.runs import undo_routes
from api.runs.server_runtime import ServerRuntime
from api.runs.supervisor import RunSupervisor
from api.server.bodies.body_clock import BodyClock
from api.server.bodies.body_reading import BodyReading
from api.server.clock_monitor import ClockMonitor
from api.server.entrance import Entrance
from api.server.group_commit import GroupCommit
from api.server.ledger_watcher import LedgerWatcher
from api.server.merchant_queue import MerchantQueue
from api.server.sending.waiting_replies import WaitingReplies
from api.server.shutdown import ShutdownSignal
from api.server.streaming import StreamResponses
from api.server.worker_threads import WorkerThreads
from api.service import Service

# Starlette tries the routers in this order, so the routers with the most requests come first.
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
    undo_routes,
    offers,
    hold_routes,
    health,
    problem_routes,
)


class _Application(FastAPI):
    """The application behind its entrance."""

    def build_middleware_stack(self) -> ASGIApp:
        """Encloses the web framework's own handler of failures, which `add_middleware` does not."""
        return Entrance(super().build_middleware_stack())


def create_app(service: Service, *, warm: bool = False, watch_clock: bool = True) -> FastAPI:
    """Creates the application, without interactive documentation: that would need no token and load scripts from other
    servers.

    `warm`: starts a worker process before the first large batch arrives. `watch_clock`: logs a clock that is wrong."""
    runtime = _create_runtime(service)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        runtime.shutdown.open()
        await runtime.supervisor.open(warm=warm)
        clock_task = asyncio.create_task(runtime.clock_monitor.run(runtime.threads)) if watch_clock else None
        with runtime.replica.open() if runtime.replica else nullcontext():
            yield
        if clock_task:
            clock_task.cancel()
        await runtime.supervisor.close()

    app = _Application(
        title="Offer Ledger",
        version=version("offer-ledger"),
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        lifespan=lifespan,
        generate_unique_id_function=_operation_id,
    )
    app.state.runtime = runtime
    _bound_bodies(app, service.settings, runtime.shutdown)
    caller_of = partial(named_token, service=service)
    app.add_middleware(WaitingReplies, settings=service.settings, caller_of=caller_of)
    app.add_middleware(LedgerPositionMiddleware)
    handle_problems(app, pages={CONSOLE: show_problem})
    for routes in ROUTERS:
        app.include_router(routes.router)
    app.include_router(openapi_router(app))
    add_console(app)
    return app


def _bound_bodies(app: FastAPI, bounds: BoundSettings, shutdown: ShutdownSignal) -> None:
    memory = Allowance(bounds.max_unfinished_body_bytes_per_token, bounds.max_unfinished_body_bytes)
    app.add_middleware(BodyReading, clock=BodyClock(bounds, shutdown), memory=memory)


def _operation_id(route: APIRoute) -> str:
    """Returns the name of the route's function in the case of JSON names: `listOffers`."""
    first, *others = route.name.split("_")
    return first + "".join(word.capitalize() for word in others)


def _create_runtime(service: Service) -> ServerRuntime:
    ledger, shutdown, threads = service.ledger, ShutdownSignal(), WorkerThreads()
    return ServerRuntime(
        service=service,
        shutdown=shutdown,
        replica=replica_of(service),
        threads=threads,
        supervisor=RunSupervisor(service, threads),
        upload_places=Allowance(service.settings.max_uploads_per_partner, sys.maxsize),
        watcher=LedgerWatcher(ledger, service.settings, shutdown),
        clock_monitor=ClockMonitor(ledger, service.clock),
        streams=StreamResponses(service.settings, shutdown),
        callers=CallerLookup(service),
        merchant_queue=MerchantQueue(service.single_requests),
        waiting_bodies=WaitingBodies(service.settings, service.settings.waiting_folder),
        activations=GroupCommit(with_position(ledger, service.activations.execute)),
        redemptions=GroupCommit(with_position(ledger, service.redemptions.execute)),
    )
