"""How does the service say no? (RFC 9457, and on the batch path the vendor's own members beside it.)"""

import logging
from collections.abc import Sequence
from enum import StrEnum
from http import HTTPStatus
from typing import Any
from uuid import UUID, uuid4

import msgspec
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from api.http import unbuilt_projections as not_built
from api.http.pagination import InvalidCursor
from api.validation.field_errors import MAX_COMPLAINTS, Complaint, explain
from domain.ledgers.ledger import OutcomeUnknown, StorageError
from domain.refusals import (
    DailyQuotaExceeded,
    FileSuperseded,
    FlightInThePast,
    FlightTaken,
    IdempotencyKeyReused,
    NoSlotLeft,
    OfferNotActivatable,
    Refused,
    ReversalExceedsRedemption,
    ReversalReused,
    RunInProgress,
    TimeAhead,
    TooManyFlights,
    TooManyPerSecond,
    TooManyReversals,
    TransactionReused,
    UnknownOffer,
    UnknownRedemption,
)

BATCH_PATH = "/api/v1/integrations/offer-providers/custom/offers"
OFFERS_FILES_PATH = "/api/v1/partner/offers-files"
MERCHANTS_PATH = "/api/v1/partner/merchants"
RUNS_PATH = "/api/v1/runs"
MEDIA_TYPE = "application/problem+json"
RUN_TAKES_SECONDS = 5
"""When to ask again while a run is in progress."""

logger = logging.getLogger("offer_ledger")


class Problem(Exception):  # noqa: N818 - named as in RFC 9457
    """An answer that is a refusal. `kind` is the problem's type, `more` its members beyond those that all have; `vendor`
    are the members of the batch document's reply where they are more than can be told from the problem itself."""

    def __init__(
        self,
        status: HTTPStatus,
        kind: str,
        detail: str,
        *,
        errors: Sequence[Complaint] = (),
        headers: dict[str, str] | None = None,
        vendor: dict[str, Any] | None = None,
        more: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status, self.kind, self.detail, self.errors = status, kind, detail, errors[:MAX_COMPLAINTS]
        self.headers, self.vendor, self.more = headers or {}, vendor, more or {}

    def __reduce__(self) -> tuple[Any, ...]:
        members = {"errors": self.errors, "headers": self.headers, "vendor": self.vendor, "more": self.more}
        return _problem, (self.status, self.kind, self.detail, members)

    @property
    def title(self) -> str:
        return self.kind.replace("-", " ").capitalize()


def _problem(status: HTTPStatus, kind: str, detail: str, members: dict[str, Any]) -> Problem:
    return Problem(status, kind, detail, **members)


def validation_error(errors: Sequence[Complaint]) -> Problem:
    return Problem(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        "validation-error",
        "The request breaks the rules named in errors.",
        errors=errors,
    )


def run_path(run_id: UUID) -> str:
    return f"{RUNS_PATH}/{run_id}"


def not_found(what: str) -> Problem:
    return Problem(HTTPStatus.NOT_FOUND, "not-found", f"There is no such {what}.")


def problem_document(problem: Problem) -> dict[str, Any]:
    """What is told of it wherever it occurs."""
    return {
        "type": problem.kind,
        "title": problem.title,
        "status": problem.status,
        "detail": problem.detail,
        "errors": [{"pointer": error.pointer, "message": error.message} for error in problem.errors],
    }


def respond(request: Request, problem: Problem) -> Response:
    body: dict[str, Any] = {
        **problem_document(problem),
        "instance": request.scope["raw_path"].decode("latin-1"),
        "traceId": request.state.trace_id,
        **problem.more,
    }
    match vendor_of(request):
        case Vendor.BATCH:
            body |= problem.vendor or _batch_members(problem)
        case Vendor.MERCHANT:
            told = "; ".join(map(str, problem.errors)) or problem.detail
            body |= {"message": told, "trace_id": request.state.trace_id}
        case None:
            pass
    headers = {**getattr(request.state, "limits", {}), **problem.headers}
    return Response(msgspec.json.encode(body), problem.status, headers, MEDIA_TYPE)


class Vendor(StrEnum):
    """Whose document a path is from; such replies have its members too."""

    BATCH = "batch"
    MERCHANT = "merchant"


def vendor_of(request: Request) -> Vendor | None:
    if request.url.path == BATCH_PATH:
        return Vendor.BATCH
    return Vendor.MERCHANT if request.url.path.startswith(f"{MERCHANTS_PATH}/") else None


def is_ingestion(request: Request) -> bool:
    """Whether the path is a door for offers: what comes by it is not counted per token."""
    return vendor_of(request) is not None or request.url.path == OFFERS_FILES_PATH


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


def handle_problems(app: FastAPI) -> None:
    """Makes every refusal and every failure of the app answer as a problem; below some paths, as a page
    (`app.state.refusals`)."""

    def answer(request: Request, error: Exception) -> Response:
        problem = problem_of(error)
        if problem.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            where = (request.method, request.url.path, problem.detail, request.state.trace_id)
            logger.error("%s %s: %s (traceId %s)", *where, exc_info=error)
        for path, told in request.app.state.refusals.items():
            if request.url.path.startswith(path):
                refusal: Response = told(request, problem)
                return refusal
        return respond(request, problem)

    for kind in (
        Problem,
        Refused,
        RequestValidationError,
        InvalidCursor,
        HTTPException,
        ClientDisconnect,
        StorageError,
        Exception,
    ):
        app.add_exception_handler(kind, answer)


def problem_of(error: Exception) -> Problem:
    """What a caller is told of it."""
    match error:
        case Problem():
            return error
        case Refused():
            return _of_refusal(error)
        case RequestValidationError():
            return validation_error(explain(error.errors()))
        case InvalidCursor():
            place = Complaint(("query", "cursor"), "is not a cursor of this list with these filters")
            return validation_error([place])
        case HTTPException():
            status = HTTPStatus(error.status_code)
            kind = status.phrase.lower().replace(" ", "-")
            return Problem(status, kind, f"{status.description}.", headers=dict(error.headers or {}))
        case ClientDisconnect():
            return Problem(HTTPStatus.BAD_REQUEST, "incomplete-request", "The request ended too soon.")
        case StorageError():
            return _of_storage(error)
        case _:
            detail = "The service has failed; the fault is its own and has been logged."
            return Problem(HTTPStatus.INTERNAL_SERVER_ERROR, "internal-server-error", detail)


def _of_storage(error: StorageError) -> Problem:
    kind, detail = "storage-unavailable", "The ledger's storage can't be used at the moment; nothing has been changed."
    if isinstance(error, OutcomeUnknown):
        kind = "outcome-unknown"
        detail = (
            "The ledger's storage was lost while the change was being kept: it is there, or it is not."
            " The same request may be sent again; nothing is done twice."
        )
    if name := not_built.named_in(error):
        kind = "projection-not-built"
        detail = f"What answers this has not been built yet; an operator does it with: {not_built.command([name])}"
    return Problem(HTTPStatus.SERVICE_UNAVAILABLE, kind, detail, headers={"Retry-After": "5"})


def _of_refusal(refusal: Refused) -> Problem:
    match refusal:
        case IdempotencyKeyReused():
            place = Complaint(("concurrencyRequestId",), "was used before, with other content")
            return Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "idempotency-key-reused", f"{refusal}.", errors=[place])
        case RunInProgress():
            run = run_path(refusal.run_id)
            return Problem(
                HTTPStatus.CONFLICT,
                "run-in-progress",
                f"{refusal}.",
                headers={"Retry-After": str(RUN_TAKES_SECONDS), "Link": f'<{run}>; rel="related"'},
                more={"activeRun": run},
            )
        case TooManyPerSecond() | DailyQuotaExceeded():
            seconds = refusal.seconds_to_wait if isinstance(refusal, TooManyPerSecond) else refusal.seconds_to_next_day
            kind = "rps" if isinstance(refusal, TooManyPerSecond) else "daily"
            headers = {"Retry-After": str(seconds)}
            return Problem(
                HTTPStatus.TOO_MANY_REQUESTS, "quota-exceeded", f"{refusal}.", headers=headers, more={"limit": kind}
            )
        case FileSuperseded():
            place = Complaint(("name",), "is dated before the last file that was processed")
            return Problem(HTTPStatus.CONFLICT, "file-superseded", f"{refusal}.", errors=[place])
        case NoSlotLeft():
            headers = {"Retry-After": str(refusal.seconds_to_next_window)}
            return Problem(HTTPStatus.TOO_MANY_REQUESTS, "run-limit-reached", f"{refusal}.", headers=headers)
        case _:
            return _of_refused_report(refusal)


def _of_refused_report(refusal: Refused) -> Problem:
    """Of what a publisher reports."""
    match refusal:
        case UnknownOffer():
            return not_found("offer")
        case TimeAhead():
            return validation_error([Complaint((refusal.field,), "must not lie in the future")])
        case FlightInThePast():
            return validation_error([Complaint(("startsAt",), "must not lie in the past")])
        case UnknownRedemption():
            return not_found("redemption")
        case TransactionReused() | ReversalReused():
            name = "transactionId" if isinstance(refusal, TransactionReused) else "reversalId"
            place = Complaint((name,), "was used before, with other members")
            return Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "idempotency-key-reused", f"{refusal}.", errors=[place])
        case ReversalExceedsRedemption():
            more = {"remaining": str(refusal.remaining)}
            return Problem(HTTPStatus.CONFLICT, "reversal-exceeds-redemption", f"{refusal}.", more=more)
        case _:
            return Problem(HTTPStatus.CONFLICT, _CONFLICTS.get(type(refusal), "refused"), f"{refusal}.")


_CONFLICTS: dict[type[Refused], str] = {
    FlightTaken: "flight-taken",
    OfferNotActivatable: "offer-not-activatable",
    TooManyFlights: "too-many-flights",
    TooManyReversals: "too-many-reversals",
}
