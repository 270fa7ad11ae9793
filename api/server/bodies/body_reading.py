"""Reads the bodies of all requests within their bounds of time and memory."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.bounds.allowances import Allowance, AllowanceExceeded
from api.bounds.body_memory import BodyMemory
from api.http.request_state import SCOPE_KEY, RequestState
from api.server.bodies.body_clock import BodyClock, BodyTime
from api.server.bodies.body_problems import too_much_memory


class BodyReading:
    """Middleware: routes receive every body through it, so no route can forget a bound."""

    def __init__(self, app: ASGIApp, clock: BodyClock, memory: Allowance) -> None:
        self.app = app
        self._clock, self._memory = clock, memory

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        state: RequestState = scope[SCOPE_KEY]
        memory = state.body_memory = BodyMemory(self._memory)
        try:
            await self.app(scope, BoundedBody(scope, receive, self._clock, memory, self._memory).receive, send)
        finally:
            memory.end()


class BoundedBody:
    """The body of one request. Its `receive` raises Problem 408, 429 or 503 until the reply has begun."""

    def __init__(
        self, scope: Scope, receive: Receive, clock: BodyClock, memory: BodyMemory, allowance: Allowance
    ) -> None:
        self._scope, self._receive, self._clock = scope, receive, clock
        self._memory, self._allowance = memory, allowance
        self._state: RequestState = scope[SCOPE_KEY]
        self._is_complete = False
        self._time: BodyTime | None = None

    async def receive(self) -> Message:
        if not self._is_bounded():
            return await self._receive()
        if self._time is None:
            self._time = BodyTime(self._is_bounded)
        self._time.is_in_memory = not self._memory.is_on_disk
        message = await self._clock.wait(self._receive, self._time)
        if message["type"] == "http.request" and message.get("more_body", False):
            self._add(len(message["body"]))
        else:
            self._is_complete = True
            self._memory.end()
        return message

    def _is_bounded(self) -> bool:
        """A reply may begin before the whole body has arrived. Then the server waits for the end of the connection."""
        return not self._is_complete and self._state.status is None

    def _add(self, size: int) -> None:
        if self._time:
            self._time.received_bytes += size
        try:
            self._memory.add(self._holder(), size)
        except AllowanceExceeded as error:
            self._memory.end()  # at once, so that no other body is refused too
            raise too_much_memory(self._allowance, error) from None

    def _holder(self) -> str:
        """Returns the caller's token. The only body that is read without one is that of the console's sign-in form."""
        if self._state.token_name:
            return f"token {self._state.token_name}"
        client = self._scope.get("client")
        return f"address {client[0]}" if client else ""
