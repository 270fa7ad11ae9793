"""The headers of replies: what each means, and which operation sends it with which status.

A test makes every call, and compares the headers of its reply with this table.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from api.openapi.operations import operations_of

_TEXT = {"type": "string"}
_SECONDS = {"type": "integer", "minimum": 0}

HEADERS: Mapping[str, dict[str, Any]] = {
    "Accept-Encoding": {"description": "The content codings that this call accepts.", "schema": _TEXT},
    "Cache-Control": {"description": "`no-store`: the reply describes the present moment.", "schema": _TEXT},
    "Content-Disposition": {"description": "The name under which a browser saves the file.", "schema": _TEXT},
    "ETag": {
        "description": "The entity tag of the representation. A request sends it back in `If-None-Match`.",
        "schema": _TEXT,
    },
    "Idempotency-Replayed": {
        "description": "`true`: the request was received before, and this is the stored reply.",
        "schema": {"type": "string", "const": "true"},
    },
    "Ledger-Inside-Commit": {
        "description": "The first and the last position of the commit that the requested position is inside of, as in"
        " `4-11`. Such a state has a part of the commit only: the ledger never was in it. Absent if the position is the last one"
        " of a commit. A comparison can name two commits, separated by a comma.",
        "schema": {"type": "string", "pattern": "^[0-9]+-[0-9]+(, [0-9]+-[0-9]+)?$"},
    },
    "Ledger-Position": {
        "description": "A position at which the ledger has the written or returned data. Requests that read may send it"
        " as a header.",
        "schema": {"type": "integer", "minimum": 0},
    },
    "Link": {
        "description": 'Related resources (RFC 8288): the next page of a list (`rel="next"`), or the active run'
        ' (`rel="related"`).',
        "schema": _TEXT,
    },
    "Location": {
        "description": "The path of the created or accepted resource, relative to the server.",
        "schema": {"type": "string", "format": "uri-reference"},
    },
    "Preference-Applied": {"description": "The preference of `Prefer` that the service honours.", "schema": _TEXT},
    "RateLimit": {
        "description": "For each limit of the partner, what is left and the seconds until it is full again.",
        "schema": _TEXT,
    },
    "RateLimit-Policy": {
        "description": "The limits of the partner: the number of requests and the window in seconds.",
        "schema": _TEXT,
    },
    "Retry-After": {"description": "The seconds after which the request may be sent again.", "schema": _SECONDS},
    "Trace-Id": {
        "description": "The trace id of the request. The operator finds the request in the log by it.",
        "schema": _TEXT,
    },
    "Vary": {"description": "The request headers on which the form of the reply depends.", "schema": _TEXT},
    "WWW-Authenticate": {"description": "The schemes of authentication that the service accepts.", "schema": _TEXT},
    "X-Accel-Buffering": {"description": "`no`: a reverse proxy passes each message on at once.", "schema": _TEXT},
}

_LIMITS = ("RateLimit", "RateLimit-Policy")
_OF_RUN = ("Idempotency-Replayed", "Preference-Applied")
_OF_STATUS: Mapping[str, tuple[str, ...]] = {
    "401": ("WWW-Authenticate",),
    "415": ("Accept-Encoding",),
    "429": ("Retry-After",),
    "503": ("Retry-After",),
}
"""The headers that a status has on all operations."""
_PAGES = (
    "listChangedVerdicts",
    "getDiff",
    "listEvents",
    "listFlights",
    "getHistory",
    "listItems",
    "listOffers",
    "listRuns",
    "listWindows",
)
"""The operations whose replies are pages, with a link to the next one."""
_LIMITED = ("putOffer", "deleteOffer")
"""The operations whose replies have the partner's limits, unless the token is refused."""
_OF_REPLY: Mapping[str, tuple[str, ...]] = {
    **{f"{operation} 200": ("Link",) for operation in _PAGES},
    "listEvents 200": ("Link", "Vary"),
    "followEvents 200": ("Cache-Control", "X-Accel-Buffering"),
    "getFeed 200": ("Content-Disposition",),
    "getOffer 200": ("ETag", "Ledger-Inside-Commit"),
    "getOffer 304": ("ETag", "Ledger-Inside-Commit", "Ledger-Position"),
    "getOffer 404": ("Ledger-Inside-Commit",),
    "countOffers 200": ("Ledger-Inside-Commit",),
    **{f"{operation} 200": ("Link", "Ledger-Inside-Commit") for operation in ("listOffers", "getDiff")},
    "explainProblem 200": ("Vary",),
    "showStart 200": ("Cache-Control", "Vary"),
    "showStart 303": ("Cache-Control", "Location", "Vary"),
    "getRun 200": ("Cache-Control",),
    "readyz 200": ("Cache-Control",),
    "getQuota 200": _LIMITS,
    "activateOffer 200": ("Location",),
    "activateOffer 201": ("Location",),
    "redeemOffer 201": ("Location", "Idempotency-Replayed"),
    "reverseRedemption 201": ("Idempotency-Replayed",),
    "putOffer 202": ("Location",),
    "deleteOffer 202": ("Location",),
    **{
        f"{operation} {status}": headers
        for operation in ("sendBatch", "sendOffersFile")
        for status, headers in {
            "200": _OF_RUN,
            "202": ("Location", "Preference-Applied"),
            "409": ("Link", "Retry-After"),
            "500": ("Location", *_OF_RUN),
        }.items()
    },
    "undoRun 200": _OF_RUN,
    "undoRun 202": ("Location", "Preference-Applied"),
    "undoRun 409": ("Link", "Retry-After"),
    "sendBatch 422": ("Ledger-Position", *_OF_RUN),
    **{f"{operation} 409": ("Ledger-Position",) for operation in ("activateOffer", "redeemOffer", "reverseRedemption")},
    **{f"{operation} {status}": ("Ledger-Position",) for operation in _LIMITED for status in (400, 412, 413, 415)},
}
"""The headers of one status of one operation."""
_WITHOUT_POSITION = ("followEvents", "getQuota", "explainProblem", "healthz", "readyz", "showStart")
"""The stream has positions in its messages. The other replies are not read from the ledger."""


_REFUSED_BEFORE_POSITION = ("scheduleFlight", "holdOffer", "releaseOffer", "undoRun")
"""The operations that refuse an unknown offer or run before the position is known."""


def describe_headers(document: dict[str, Any]) -> None:
    """Adds the headers to the replies of an OpenAPI document."""
    document["components"]["headers"] = dict(HEADERS)
    for _, operation in operations_of(document):
        for status, reply in operation["responses"].items():
            names = sorted(_headers_of(operation["operationId"], status))
            reply.setdefault("headers", {}).update({name: {"$ref": f"#/components/headers/{name}"} for name in names})


def _headers_of(operation: str, status: str) -> Iterator[str]:
    yield "Trace-Id"
    yield from _OF_STATUS.get(status, ())
    yield from _OF_REPLY.get(f"{operation} {status}", ())
    if operation in _LIMITED and status not in {"401", "403"}:
        yield from _LIMITS
    has_position = status.startswith("2") or (status == "404" and operation not in _REFUSED_BEFORE_POSITION)
    if has_position and operation not in _WITHOUT_POSITION:
        yield "Ledger-Position"
