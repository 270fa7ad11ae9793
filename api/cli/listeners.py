"""The sockets on which `serve` listens."""

import socket
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

from api.cli.messages import exit_with_error

BACKLOG = 2048
"""As many connections as the web server queues by default."""


@contextmanager
def open_listeners(host: str, port: int) -> Iterator[list[socket.socket]]:
    """Listens on every address of the host. Exits with 1 if one of them is not available.

    From then on, connections wait for the server. Two sockets can be bound to one port, but only one of them can listen."""
    with ExitStack() as resources:
        try:
            listeners = _listen(host, port, resources)
        except (OSError, UnicodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "not a host name"
            exit_with_error(f"Cannot listen on {_authority(host, port)}: {reason}. Choose another --host or --port.")
        yield listeners


def _listen(host: str, port: int, resources: ExitStack) -> list[socket.socket]:
    listeners: list[socket.socket] = []
    # The protocol is explicit, so asyncio sets TCP_NODELAY, and small replies are sent at once.
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP, flags=socket.AI_PASSIVE)
    for family, kind, protocol, _, address in dict.fromkeys(found):
        listener = resources.enter_context(socket.socket(family, kind, protocol))
        listeners.append(listener)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        # With port 0, all addresses get the port that the first one got.
        listener.bind((address[0], port or listeners[0].getsockname()[1], *address[2:]))
        listener.listen(BACKLOG)
    return listeners


def url_of(host: str, listeners: Sequence[socket.socket]) -> str:
    """Returns the base URL of the service."""
    return f"http://{_authority(host, listeners[0].getsockname()[1])}"


def _authority(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
