"""Reads of one token wait for their turn. One whose client has gone leaves the queue."""

import asyncio
from typing import Any

from api.bounds.settings import BoundSettings
from api.http.request_state import SCOPE_KEY
from api.server.entrance import new_request_state
from api.server.sending.waiting_replies import WaitingReplies


class Reads:
    """Requests of one token, which has one turn. The application answers each when the test allows it."""

    def __init__(self) -> None:
        self.started: list[str] = []
        self.allowed = asyncio.Event()
        settings = BoundSettings(max_reads_per_token=1)
        self._replies = WaitingReplies(self._answer, settings, caller_of=lambda _: "one token")
        self._gone: dict[str, asyncio.Event] = {}

    async def _answer(self, scope: Any, _: Any, send: Any) -> None:
        self.started.append(scope["path"])
        await self.allowed.wait()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    def ask(self, path: str) -> asyncio.Task[None]:
        gone = self._gone[path] = asyncio.Event()
        messages = [{"type": "http.request", "body": b"", "more_body": False}]

        async def receive() -> Any:
            if messages:
                return messages.pop()
            await gone.wait()
            return {"type": "http.disconnect"}

        async def send(_: Any) -> None:
            pass

        scope = {"type": "http", "method": "GET", "path": path, "headers": [], SCOPE_KEY: new_request_state()}
        return asyncio.create_task(self._replies(scope, receive, send))

    def leave(self, path: str) -> None:
        self._gone[path].set()


def test_read_whose_client_has_gone_leaves_the_queue() -> None:
    async def run() -> list[str]:
        reads = Reads()
        first, gone, last = (reads.ask(path) for path in ("/first", "/gone", "/last"))
        await asyncio.sleep(0)
        reads.leave("/gone")
        await gone  # although the first one still has the only turn
        assert reads.started == ["/first"]
        reads.allowed.set()
        await asyncio.gather(first, last)
        await reads.ask("/next")
        return reads.started

    assert asyncio.run(asyncio.wait_for(run(), 30)) == ["/first", "/last", "/next"]


def test_cancelled_read_gives_its_turn_back() -> None:
    async def run() -> list[str]:
        reads = Reads()
        tasks = [reads.ask(path) for path in ("/first", "/second", "/third")]
        await asyncio.sleep(0)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        reads.allowed.set()
        await reads.ask("/next")
        return reads.started

    assert asyncio.run(asyncio.wait_for(run(), 30)) == ["/first", "/next"]
