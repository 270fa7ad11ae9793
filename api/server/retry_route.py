"""What becomes of a request that only reads, when its connection to the database is lost in the midst of it?"""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute

from domain.store.errors import Undone
from domain.store.retry import waits

Handler = Callable[[Request], Coroutine[Any, Any, Response]]


class ReadAgain(APIRoute):
    """Reads again from the start, as nothing has been answered yet; what writes sees to that itself, where it knows what was
    kept."""

    def get_route_handler(self) -> Handler:
        handle = super().get_route_handler()
        return _again(handle) if self.methods == {"GET"} else handle


def _again(handle: Handler) -> Handler:
    async def trying(request: Request) -> Response:
        for wait in waits():
            try:
                return await handle(request)
            except Undone:
                await asyncio.sleep(wait)
        return await handle(request)

    return trying
