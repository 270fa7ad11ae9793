"""Holds a large reply until its client has read it, within bounds on such replies."""

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack
from http import HTTPStatus
from typing import Any

from fastapi import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.bounds.allowances import Allowance, AllowanceExceeded
from api.bounds.exceeded import exceeded_bound
from api.bounds.settings import BoundSettings
from api.bounds.turns import Turns
from api.http.problems import Problem, respond
from api.http.request_state import SCOPE_KEY, RequestState

TURNS = 32
"""The turns of all callers together: fewer than the threads that build replies."""
BYTES_AT_ONCE = 64 * 1024
WAITING_RETRY_SECONDS = 5


class WaitingReplies:
    """Sends a large body in pieces, each when the connection has accepted the one before.

    The server's buffer of a connection then has a few pieces at most. A whole body counts against the bounds from its
    creation until its last piece. A stream of bodies is bounded by its source.

    A caller has few turns at building replies, because each of these is in memory before its size is known."""

    def __init__(self, app: ASGIApp, settings: BoundSettings, caller_of: Callable[[Request], str | None]) -> None:
        """`caller_of` identifies the caller of a request before its token is read. None: the request needs no turn."""
        self.app, self._caller_of = app, caller_of
        self._allowance = Allowance(settings.max_waiting_reply_bytes_per_token, settings.max_waiting_reply_bytes)
        self._turns = Turns(TURNS, settings.max_reads_per_token)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        start: Message | None = None

        async def send_in_pieces(message: Message) -> None:
            nonlocal start
            if message["type"] == "http.response.start":
                # A reply that exceeds a bound gets another status, so the status waits for the body.
                start = message
                await turn.aclose()
                return
            first, start = start, None
            body = message.get("body", b"")
            if len(body) <= BYTES_AT_ONCE or state.is_head:
                if first:
                    await send(first)
                await send(message)
            elif first and not message.get("more_body"):
                await self._send_whole(scope, receive, send, first, body)
            else:
                if first:
                    await send(first)
                await _send_pieces(send, message)

        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        state: RequestState = scope[SCOPE_KEY]
        async with AsyncExitStack() as turn:
            if await self._take_turn(turn, scope, receive):
                await self.app(scope, receive, send_in_pieces)

    async def _take_turn(self, turn: AsyncExitStack, scope: Scope, receive: Receive) -> bool:
        """Returns False if the client has gone before its turn: nobody would read the reply."""
        caller = self._caller_of(Request(scope)) if scope["method"] == "GET" else None
        if caller is None:
            return True
        taking = turn.enter_async_context(self._turns.take(caller))
        if self._turns.is_free(caller):
            await taking
            return True
        return await _wait_while_connected(taking, receive)

    async def _send_whole(self, scope: Scope, receive: Receive, send: Send, start: Message, body: bytes) -> None:
        state: RequestState = scope[SCOPE_KEY]
        if state.token_name is None:
            # Without a token, the service has only documents that all requests share.
            await send(start)
            await _send_pieces(send, {"type": "http.response.body", "body": body})
            return
        # A body that is larger than the whole bound is sent alone.
        amount = min(len(body), self._allowance.per_holder, self._allowance.total)
        try:
            self._allowance.take(state.token_name, amount)
        except AllowanceExceeded as exceeded:
            problem = self._problem(exceeded)
            state.problem = problem.kind
            await respond(Request(scope), problem)(scope, receive, send)
            return
        try:
            await send(start)
            await _send_pieces(send, {"type": "http.response.body", "body": body})
        finally:
            self._allowance.give_back(state.token_name, amount)

    def _problem(self, exceeded: AllowanceExceeded) -> Problem:
        """Returns the problem of a reply that would exceed a bound."""
        headers = {"Retry-After": str(WAITING_RETRY_SECONDS)}
        what = "bytes of unread large replies"
        detail = exceeded_bound(self._allowance, exceeded, "max_waiting_reply_bytes_per_token", what)
        if exceeded.is_total:
            return Problem(HTTPStatus.SERVICE_UNAVAILABLE, "server-busy", detail, headers=headers)
        return Problem(HTTPStatus.TOO_MANY_REQUESTS, "replies-not-read", detail, headers=headers)


async def _wait_while_connected(taking: Coroutine[Any, Any, None], receive: Receive) -> bool:
    """Waits for a turn. Returns False if the client goes before.

    Otherwise a client that connects again and again would queue more requests than it has connections. The body of a GET has
    no meaning, so what arrives of it is forgotten."""
    taken, gone = asyncio.ensure_future(taking), asyncio.ensure_future(_wait_until_gone(receive))
    try:
        await asyncio.wait((taken, gone), return_when=asyncio.FIRST_COMPLETED)
        return taken.done()
    finally:
        # An await for both: one that is cancelled too late still gives back its turn.
        for each in (taken, gone):
            each.cancel()
        await asyncio.gather(taken, gone, return_exceptions=True)


async def _wait_until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _send_pieces(send: Send, message: Message) -> None:
    body, more_body = message["body"], message.get("more_body", False)
    for place in range(0, len(body), BYTES_AT_ONCE):
        end = place + BYTES_AT_ONCE
        await send(
            {
                "type": "http.response.body",
                "body": body[place:end],
                "more_body": more_body or end < len(body),
            }
        )
