"""A request that the web server cancels when it stops gets a reply that says whether its change may be stored."""

import asyncio

import pytest
from starlette.types import Message, Receive, Scope, Send

from api.bounds.allowances import Allowance
from api.bounds.settings import BoundSettings
from api.server.bodies.body_clock import BodyClock
from api.server.bodies.body_reading import BodyReading
from api.server.entrance import Entrance
from api.server.shutdown import ShutdownSignal

MIB = 1024 * 1024


async def read_and_work_for_ever(scope: Scope, receive: Receive, send: Send) -> None:
    await receive()
    await asyncio.Event().wait()


async def reply_of_interrupted(method: str) -> list[Message]:
    shutdown, sent = ShutdownSignal(), list[Message]()
    shutdown.open()
    app = Entrance(BodyReading(read_and_work_for_ever, BodyClock(BoundSettings(), shutdown), Allowance(MIB, MIB)))
    scope = {"type": "http", "http_version": "1.1", "method": method, "path": "/", "raw_path": b"/", "headers": []}

    async def receive() -> Message:
        return {"type": "http.request", "body": b"{}", "more_body": False}

    async def send(message: Message) -> None:
        sent.append(message)

    request = asyncio.create_task(app(scope, receive, send))
    shutdown.set()
    await asyncio.sleep(0.01)
    request.cancel()
    await request
    return sent


@pytest.mark.parametrize(("method", "kind"), [("PUT", b"outcome-unknown"), ("GET", b"server-stopping")])
def test_interrupted_write_may_have_been_stored(method: str, kind: bytes) -> None:
    start, body = asyncio.run(reply_of_interrupted(method))
    assert start["status"] == 503
    assert kind in body["body"]
