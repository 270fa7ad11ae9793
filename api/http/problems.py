"""Problem replies (RFC 9457). On the vendors' paths, they also have the members of the vendor's document."""

import logging
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any
from uuid import uuid4

import msgspec
from fastapi import Request, Response

from api.http.paths import Vendor, vendor_of
from api.http.request_state import request_state
from api.validation.field_errors import MAX_FIELD_ERRORS, InvalidField

MEDIA_TYPE = "application/problem+json"
RUN_TAKES_SECONDS = 5
"""`Retry-After` while a run is in progress."""

logger = logging.getLogger("offer_ledger")


class Problem(Exception):
    """An error that becomes a problem reply.

    `kind` is the problem's type, and `more` are members that only this type has. `vendor` are the members of the batch
    document's reply, if they can't be derived from the problem itself."""

    def __init__(
        self,
        status: HTTPStatus,
        kind: str,
        detail: str,
        *,
        errors: Sequence[InvalidField] = (),
        headers: dict[str, str] | None = None,
        vendor: dict[str, Any] | None = None,
        more: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status, self.kind, self.detail, self.errors = status, kind, detail, errors[:MAX_FIELD_ERRORS]
        self.headers, self.vendor, self.more = headers or {}, vendor, more or {}

    def __reduce__(self) -> tuple[Any, ...]:
        members = {"errors": self.errors, "headers": self.headers, "vendor": self.vendor, "more": self.more}
        return _problem, (self.status, self.kind, self.detail, members)

    @property
    def title(self) -> str:
        return self.kind.replace("-", " ").capitalize()


def _problem(status: HTTPStatus, kind: str, detail: str, members: dict[str, Any]) -> Problem:
    return Problem(status, kind, detail, **members)


def validation_error(errors: Sequence[InvalidField]) -> Problem:
    return Problem(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        "validation-error",
        "The request breaks the rules named in errors.",
        errors=errors,
    )


def not_found(noun: str) -> Problem:
    return Problem(HTTPStatus.NOT_FOUND, "not-found", f"There is no such {noun}.")


def problem_document(problem: Problem) -> dict[str, Any]:
    """Returns the members that do not depend on the request."""
    return {
        "type": problem.kind,
        "title": problem.title,
        "status": problem.status,
        "detail": problem.detail,
        "errors": [{"pointer": error.pointer, "message": error.message} for error in problem.errors],
    }


def respond(request: Request, problem: Problem) -> Response:
    state = request_state(request)
    body: dict[str, Any] = {
        **problem_document(problem),
        "instance": request.scope["raw_path"].decode("latin-1"),
        "traceId": state.trace_id,
        **problem.more,
    }
    match vendor_of(request):
        case Vendor.BATCH:
            body |= problem.vendor or _batch_members(problem)
        case Vendor.MERCHANT:
            message = "; ".join(map(str, problem.errors)) or problem.detail
            body |= {"message": message, "trace_id": state.trace_id}
        case None:
            pass
    headers = {**(state.limits.headers() if state.limits else {}), **problem.headers}
    return Response(msgspec.json.encode(body), problem.status, headers, MEDIA_TYPE)


def _batch_members(problem: Problem) -> dict[str, Any]:
    title = problem.title.title()
    return {
        "responseId": uuid4(),
        "isSuccessful": False,
        "responseTitle": title,
        "responseType": title.replace(" ", ""),
        "messages": [str(error) for error in problem.errors] or [problem.detail],
        "data": None,
    }
