"""Sends activations. Each one is of another customer; the offers take turns."""

from collections.abc import Iterator

from benchmarks.clients.load_client import Target, send
from benchmarks.fill.seed_activations import OFFERS, offer_uid

REQUEST = (
    "POST /api/v1/activations HTTP/1.1\r\nHost: {host}\r\nAuthorization: ApiToken {secret}\r\n"
    "Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
)
EXPECTED_STATUS = b"HTTP/1.1 201 "
UIDS = [offer_uid(number) for number in range(OFFERS)]
"""Computed before the first request, because it takes a while."""


def requests(target: Target, mark: str) -> Iterator[bytes]:
    number = 0
    while True:
        body = f'{{"customerId":"customer-{mark}-{number}","offerUid":"{UIDS[number % OFFERS]}"}}'
        yield REQUEST.format(host=target.host, secret=target.secret, length=len(body), body=body).encode()
        number += 1


if __name__ == "__main__":
    send(requests, EXPECTED_STATUS)
