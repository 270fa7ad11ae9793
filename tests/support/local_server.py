"""Starts the real server in a thread of this process."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn

from api.app import create_app
from api.server.connections.event_loop import EVENT_LOOP
from api.server.connections.protocol import BoundedHttpProtocol
from api.service import Service
from tests.support.waiting import wait_until


@contextmanager
def serving(service: Service) -> Iterator[str]:
    """Yields the base URL of the running service."""
    # With an explicit protocol, asyncio sets TCP_NODELAY, so small replies are sent at once.
    with socket.socket(proto=socket.IPPROTO_TCP) as listener:
        listener.bind(("127.0.0.1", 0))
        server = uvicorn.Server(
            uvicorn.Config(create_app(service), log_level="warning", http=BoundedHttpProtocol, loop=EVENT_LOOP)
        )
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        wait_until(lambda: server.started or not thread.is_alive())
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        server.should_exit = True
        thread.join()
