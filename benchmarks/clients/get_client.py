"""GETs of a partner's offers, as `sending` sends them: on every connection a page of the inventory, and then one offer of it."""

from collections.abc import Iterator
from itertools import cycle

from benchmarks.clients.load_client import Target, send

REQUEST = "GET {path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {secret}\r\n\r\n"
PATHS = ("/api/v1/offers?limit=20&status=active", "/api/v1/offers?externalId={offer}")
ANSWERED = b"HTTP/1.1 200 "


def requests(target: Target, _mark: str) -> Iterator[bytes]:
    # The offer is one that benchmarks.put_client puts.
    for path in cycle(PATHS):
        yield REQUEST.format(path=path.format(offer="MO-1-0-0"), host=target.host, secret=target.secret).encode()


if __name__ == "__main__":
    send(requests, ANSWERED)
