"""What becomes of a request that only reads, when its connection to the database is lost in the midst of it?"""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute

from domain.store.errors import TransactionRolledBack
from domain.store.retry import backoff

Handler = Callable[[Request], Coroutine[Any, Any, Response]]


class RetryingRoute(APIRoute):
    """Reads again from the start, as nothing has been answered yet; what writes sees to that itself, where it knows what was
    kept."""

    def get_route_handler(self) -> Handler:
        handle = super().get_route_handler()
        return _again(handle) if self.methods == {"GET"} else handle


def _again(handle: Handler) -> Handler:
    async def trying(request: Request) -> Response:
        for wait in backoff():
            try:
                return await handle(request)
            except TransactionRolledBack:
                await asyncio.sleep(wait)
        return await handle(request)

    return trying
