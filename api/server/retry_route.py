"""A route that retries GET requests whose database connection is lost during a transaction."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute

from domain.store.errors import TransactionRolledBack
from domain.store.retry import backoff

Handler = Callable[[Request], Coroutine[Any, Any, Response]]


class RetryingRoute(APIRoute):
    """Repeats the whole GET, because nothing of the reply has been sent yet. Writes are retried in the ledger, which
    knows what was stored."""

    def get_route_handler(self) -> Handler:
        handle = super().get_route_handler()
        return _retrying(handle) if self.methods == {"GET"} else handle


def _retrying(handle: Handler) -> Handler:
    async def handle_with_retries(request: Request) -> Response:
        for wait in backoff():
            try:
                return await handle(request)
            except TransactionRolledBack:
                await asyncio.sleep(wait)
        return await handle(request)

    return handle_with_retries
