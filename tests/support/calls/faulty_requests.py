"""Faulty requests, made for each operation of the OpenAPI document: every operation can refuse them in the same way."""

import json
import socket
from collections.abc import Iterator, Mapping
from http.client import HTTPResponse
from typing import Any, NamedTuple
from urllib.parse import urlencode, urlsplit
from uuid import UUID

from tests.support.waiting import PATIENCE_SECONDS

SOME_ID = str(UUID(int=7))
DAY = {"from": "2026-01-01T00:00:00Z", "to": "2026-01-02T00:00:00Z"}
REQUIRED: Mapping[str, Mapping[str, str]] = {
    "getFeed": {"date": "2026-11-22"},
    "getVerdict": {"customerId": "C-1", "offerUid": SOME_ID, "transactedAt": DAY["from"]},
    "listChangedVerdicts": DAY,
    "getDiff": DAY,
    "sendOffersFile": {"name": "TidepoolOffers20261122.json"},
}
"""The parameters that an operation requires."""


class Operation(NamedTuple):
    """One call of the document. `media_type` is that of its body; None for a call without a body."""

    name: str
    method: str
    path: str
    media_type: str | None
    parameters: Mapping[str, str]

    @property
    def call(self) -> str:
        return f"{self.method} {self.path}"


class Fault(NamedTuple):
    """The difference to a valid request. `length`: the announced length of the body, if it is not that of `body`."""

    headers: tuple[str, ...] = ()
    body: bytes | None = None
    media_type: str | None = None
    length: int | None = None
    query: str = ""
    host: str = "Host: service.example"
    has_token: bool = True


class Refusal(NamedTuple):
    """The reply to a fault. `kind` is None if the reply is no problem."""

    status: int
    kind: str | None


BODY_FAULTS: Mapping[str, Fault] = {
    "another media type": Fault(body=b"x", media_type="text/plain"),
    "an unknown coding": Fault(("Content-Encoding: unheard-of",), b"x"),
    "a broken coding": Fault(("Content-Encoding: gzip",), b"x"),
    "no JSON": Fault(body=b"{"),
    "an empty object": Fault(body=b"{}"),
    "an endless body": Fault(body=b"x", length=10**12),
    "a body that stalls": Fault(body=b"{", length=100),
}
FAULTS: Mapping[str, Fault] = {
    **BODY_FAULTS,
    "no host": Fault(host="X: x"),
    "two lengths": Fault(("Transfer-Encoding: chunked", "Content-Length: 5"), b""),
    "a long head": Fault((f"X: {'x' * 70_000}",)),
    "no token": Fault(has_token=False),
    "an unknown parameter": Fault(query="unheardOf=1"),
    "a position ahead": Fault(("Ledger-Position: 999999",)),
    "no position": Fault(("Ledger-Position: x",)),
}


def operations_in(document: Mapping[str, Any]) -> Iterator[Operation]:
    """Yields each operation of a document."""
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            name, content = operation["operationId"], operation.get("requestBody", {}).get("content", {})
            yield Operation(name, method.upper(), path, next(iter(content), None), REQUIRED.get(name, {}))


def send_faulty(address: str, operation: Operation, fault: Fault, secret: str | None) -> Refusal:
    """Sends a request with a fault on a connection of its own, and returns the reply."""
    place = urlsplit(address)
    with socket.create_connection((place.hostname or "", place.port or 0), PATIENCE_SECONDS) as connection:
        connection.sendall(_request(operation, fault, secret))
        reply = HTTPResponse(connection, method=operation.method)
        reply.begin()
        if not (reply.headers["Content-Type"] or "").startswith("application/problem+json"):
            return Refusal(reply.status, None)
        return Refusal(reply.status, json.loads(reply.read())["type"])


def _request(operation: Operation, fault: Fault, secret: str | None) -> bytes:
    path = operation.path
    for name in path.split("{")[1:]:
        path = path.replace("{" + name.partition("}")[0] + "}", SOME_ID)
    query = "&".join(filter(None, (urlencode(operation.parameters), fault.query)))
    body = fault.body
    if body is None and operation.media_type:
        body = b"{}"
    lines = [f"{operation.method} {path}{'?' if query else ''}{query} HTTP/1.1", fault.host, *fault.headers]
    lines += [f"Authorization: ApiToken {secret}"] if secret and fault.has_token else []
    if body:
        media_type = fault.media_type or operation.media_type or "application/json"
        lines += [f"Content-Type: {media_type}", f"Content-Length: {fault.length or len(body)}"]
    return "\r\n".join([*lines, "Connection: close", "", ""]).encode() + (body or b"")
