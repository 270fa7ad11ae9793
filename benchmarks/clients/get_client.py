"""Sends GETs of a partner's offers. Each connection requests a page of the inventory and one offer, in turns."""

from collections.abc import Iterator
from itertools import cycle

from benchmarks.clients.load_client import Target, send

REQUEST = "GET {path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {secret}\r\n\r\n"
PATHS = ("/api/v1/offers?limit=20&status=active", "/api/v1/offers?externalId={offer}")
EXPECTED_STATUS = b"HTTP/1.1 200 "


def requests(target: Target, _mark: str) -> Iterator[bytes]:
    # `put_client` sends this offer.
    for path in cycle(PATHS):
        yield REQUEST.format(path=path.format(offer="MO-1-0-0"), host=target.host, secret=target.secret).encode()


if __name__ == "__main__":
    send(requests, EXPECTED_STATUS)
