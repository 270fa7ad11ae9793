"""How is a request answered that comes in great numbers?"""

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute


class RawRoute(APIRoute):
    """By a function of the request alone. To find out what other functions need and to give it to them takes FastAPI about as long
    as all the rest; it still describes them."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        async def handle(request: Request) -> Response:
            response: Response = await self.endpoint(request)
            return response

        return handle
