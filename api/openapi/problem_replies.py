"""The problem types that each operation can answer with.

Each error reply of the document has one example for each type that it can have. A test compares the replies to generated
requests with them.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from typing import Any

from api.channels.batch_reply_schemas import BatchProblem
from api.channels.merchant_schemas import MerchantProblem
from api.dependencies.roles import ALL_ROLES, ROLES_BY_CALL
from api.http.paths import Vendor
from api.http.problem_schemas import PROBLEM_TYPES, ProblemReply
from api.http.problems import MEDIA_TYPE, Problem, problem_document
from api.openapi.operations import operations_of
from api.validation.field_errors import InvalidField

_EVERYWHERE = ("ambiguous-length", "head-too-large", "internal-server-error", "invalid-http")
_WITH_TOKEN = ("projection-not-built", "storage-unavailable", "unauthorized", "validation-error")
_LARGE_REPLY = ("replies-not-read", "server-busy")
_BODY = (
    "content-too-large",
    "incomplete-request",
    "not-json",
    "outcome-unknown",
    "request-timeout",
    "server-busy",
    "server-stopping",
    "too-many-uploads",
    "unsupported-media-type",
)
_RUN = (
    *_BODY,
    "helper-lost",
    "not-decodable",
    "run-failed",
    "run-in-progress",
    "too-many-requests",
    "too-many-streams",
)
_REPORT = (*_BODY, "not-found", "too-many-requests")

PROBLEMS_BY_OPERATION: Mapping[str, tuple[str, ...]] = {
    "sendBatch": (*_RUN, "all-items-failed", "idempotency-key-reused", "run-limit-reached"),
    "sendOffersFile": (*_RUN, "file-superseded", "not-multipart"),
    "putOffer": (*_BODY, "helper-lost", "precondition-failed", "quota-exceeded", "refused"),
    "deleteOffer": ("outcome-unknown", "precondition-failed", "quota-exceeded", "refused"),
    "activateOffer": (*_REPORT, "offer-held", "offer-not-activatable"),
    "activateOffers": (*_BODY, "too-many-requests"),
    "undoRun": (*_REPORT, "nothing-to-undo", "run-failed", "run-in-progress"),
    "scheduleFlight": (*_REPORT, "flight-taken", "too-many-flights"),
    "holdOffer": _REPORT,
    "releaseOffer": _REPORT,
    "redeemOffer": (*_REPORT, "idempotency-key-reused", "not-activated", "redemption-window-closed"),
    "reverseRedemption": (
        *_REPORT,
        "idempotency-key-reused",
        "reversal-exceeds-redemption",
        "too-many-reversals",
    ),
    "getActivation": ("not-found", "too-many-requests"),
    "getFeed": ("too-many-requests", "too-many-streams"),
    "getHistory": ("not-found", "too-many-requests"),
    "getOffer": ("not-found", "too-many-requests"),
    "getRedemption": ("not-found", "too-many-requests"),
    "getRun": ("not-found", "too-many-requests"),
    "getTrace": ("not-found", "too-many-requests"),
    "getVerdict": ("not-found", "too-many-requests"),
    "listFlights": ("not-found", "too-many-requests"),
    "listItems": ("not-found", "too-many-requests"),
    "listEvents": ("too-many-requests", "too-many-streams"),
    "followEvents": ("too-many-requests", "too-many-streams"),
    "explainProblem": ("not-found", "validation-error"),
    "healthz": (),
    "showStart": (),
    "readyz": ("not-ready",),
}
"""The types that an operation has in addition to those of its kind; by default, `too-many-requests`."""

_DEFAULT = ("too-many-requests",)
_VENDORS = {"sendBatch": Vendor.BATCH, "putOffer": Vendor.MERCHANT, "deleteOffer": Vendor.MERCHANT}
_MODELS = {Vendor.BATCH: BatchProblem, Vendor.MERCHANT: MerchantProblem, None: ProblemReply}
_TRACE_ID = "4bf92f3577b34da6a3ce929d0e0e4736"
_RESPONSE_ID = "5f0f5d52-3f0e-5d0e-9a39-6a3b1f7c2d10"


def describe_problems(document: dict[str, Any]) -> None:
    """Replaces the error replies of an OpenAPI document by those of the tables above."""
    examples = document["components"].setdefault("examples", {})
    for call, operation in operations_of(document):
        vendor = _VENDORS.get(operation["operationId"])
        # FastAPI adds a 422 with its own model to each operation with parameters.
        replies = {status: reply for status, reply in operation["responses"].items() if status < "400"}
        for status, kinds in sorted(_by_status(call, operation["operationId"]).items()):
            names = {kind: f"{vendor}.{kind}" if vendor else kind for kind in sorted(kinds)}
            examples |= {name: _example(kind, status, vendor) for kind, name in names.items()}
            replies[str(status)] = _reply(names, vendor)
        operation["responses"] = replies


def problem_types_of(call: str, operation: str) -> Iterator[str]:
    """Yields the problem types of one call."""
    roles = ROLES_BY_CALL[call]
    yield from _EVERYWHERE
    yield from PROBLEMS_BY_OPERATION.get(operation, _DEFAULT)
    # Others declare it with their bodies: `outcome-unknown` is the reply once the body has arrived.
    yield from ("server-stopping",) if call.startswith("GET ") else ()
    if roles:
        yield from _WITH_TOKEN
        yield from _LARGE_REPLY if call.startswith("GET ") else ()
        yield from () if roles == ALL_ROLES else ("forbidden",)


def _by_status(call: str, operation: str) -> dict[int, set[str]]:
    kinds = defaultdict[int, set[str]](set)
    for kind in problem_types_of(call, operation):
        statuses = PROBLEM_TYPES[kind].statuses
        # The merchant document answers an invalid field with 400, the others with 422.
        status = statuses[-1] if _VENDORS.get(operation) is Vendor.MERCHANT else statuses[0]
        kinds[status].add(kind)
    return kinds


def _reply(names: Mapping[str, str], vendor: Vendor | None) -> dict[str, Any]:
    lines = [f"`{kind}`: {PROBLEM_TYPES[kind].meaning}" for kind in names]
    schema = {"$ref": f"#/components/schemas/{_MODELS[vendor].__name__}"}
    examples = {kind: {"$ref": f"#/components/examples/{name}"} for kind, name in names.items()}
    return {"description": "\n\n".join(lines), "content": {MEDIA_TYPE: {"schema": schema, "examples": examples}}}


_MORE: Mapping[str, dict[str, Any]] = {
    "quota-exceeded": {"limit": "daily"},
    "reversal-exceeds-redemption": {"remaining": "7.50"},
    "run-in-progress": {"activeRun": "/api/v1/runs/0e2d8a7e-6f0a-4b57-9c0b-6a1f1d2c3b4a"},
}


def _example(kind: str, status: int, vendor: Vendor | None) -> dict[str, Any]:
    meaning = PROBLEM_TYPES[kind].meaning
    field = [InvalidField(("query", "limit"), "must be at most 1000")] if kind == "validation-error" else []
    problem = Problem(HTTPStatus(status), kind, f"{meaning.partition('. ')[0].rstrip('.')}.", errors=field)
    value = problem_document(problem) | {"instance": "/api/v1/…", "traceId": _TRACE_ID, **_MORE.get(kind, {})}
    if vendor is Vendor.MERCHANT:
        value |= {"message": problem.detail, "trace_id": _TRACE_ID}
    if vendor is Vendor.BATCH:
        title = problem.title.title()
        value |= {"responseId": _RESPONSE_ID, "isSuccessful": False, "responseTitle": title, "data": None}
        value |= {"responseType": title.replace(" ", ""), "messages": [problem.detail]}
    return {"summary": problem.title, "value": value}
