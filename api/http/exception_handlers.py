"""Turns exceptions into problem replies (RFC 9457)."""

from collections.abc import Callable, Mapping
from http import HTTPStatus

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.routing import Match, Mount

from api.http import unbuilt_projections
from api.http.pagination import ForeignCursor, InvalidCursor
from api.http.paths import route_of, run_path
from api.http.problems import RUN_TAKES_SECONDS, Problem, logger, not_found, respond, validation_error
from api.http.request_state import request_state
from api.validation.field_errors import InvalidField, from_pydantic
from domain.ledgers.ledger import StorageError
from domain.ledgers.undo_ledger import NOTHING_TO_UNDO
from domain.refusals import (
    DailyQuotaExceeded,
    FileDatedAhead,
    FileOfAnotherPartner,
    FileSuperseded,
    FlightConflict,
    FlightInThePast,
    HoldEndsInThePast,
    IdempotencyKeyReused,
    NothingToUndo,
    OfferNotActivatable,
    OfferOfOtherMerchant,
    OfferOnHold,
    PreconditionFailed,
    RateLimitExceeded,
    Refused,
    ReversalExceedsRedemption,
    ReversalReused,
    RunInProgress,
    RunLimitReached,
    TimeInFuture,
    TooManyFlights,
    TooManyReversals,
    TransactionReused,
    UnknownOffer,
    UnknownRedemption,
    UnknownRun,
)
from domain.store.errors import OutcomeUnknown

METHODS = ("DELETE", "GET", "PATCH", "POST", "PUT")
ProblemPage = Callable[[Request, Problem], Response]


def handle_problems(app: FastAPI, pages: Mapping[str, ProblemPage]) -> None:
    """Makes the app answer every refusal and every failure as a problem. `pages` maps the prefix of a path to a
    function that renders the problem as a page."""

    def answer(request: Request, error: Exception) -> Response:
        problem = problem_of(error)
        if problem.status is HTTPStatus.METHOD_NOT_ALLOWED:
            problem.headers["Allow"] = ", ".join(_allowed_methods(request))
        state = request_state(request)
        state.problem = problem.kind
        if problem.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            where = (request.method, route_of(request.scope), problem.detail, state.trace_id)
            # A problem was raised on purpose, so its traceback says nothing.
            exc_info = None if isinstance(error, Problem) else error
            logger.error("%s %s: %s (traceId %s)", *where, exc_info=exc_info)
        for prefix, render in pages.items():
            if request.url.path.startswith(prefix):
                return render(request, problem)
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


def _allowed_methods(request: Request) -> list[str]:
    """Returns the methods of all routes with the request's path. The framework names those of the first one only."""
    scope = {**request.scope, "root_path": request.scope.get("app_root_path", "")}
    # A mounted application has any method; a page's route has the path, too.
    routes = [route for route in request.app.routes if not isinstance(route, Mount)]

    def is_allowed(method: str) -> bool:
        return any(route.matches({**scope, "method": method})[0] is Match.FULL for route in routes)

    allowed = [method for method in METHODS if is_allowed(method)]
    return sorted([*allowed, "HEAD"] if "GET" in allowed else allowed)


def problem_of(error: Exception) -> Problem:
    """Returns the problem that the client gets for an exception."""
    match error:
        case Problem():
            return error
        case Refused():
            return _problem_of_refusal(error)
        case RequestValidationError():
            return validation_error(from_pydantic(error.errors()))
        case InvalidCursor():
            rule = "is not a cursor of this list with these filters"
            if isinstance(error, ForeignCursor):
                rule = "is a cursor of another ledger, or of this one before a restore; begin with the first page"
            return validation_error([InvalidField(("query", "cursor"), rule)])
        case HTTPException():
            status = HTTPStatus(error.status_code)
            kind = status.phrase.lower().replace(" ", "-")
            return Problem(status, kind, f"{status.description}.", headers=dict(error.headers or {}))
        case ClientDisconnect():
            return Problem(HTTPStatus.BAD_REQUEST, "incomplete-request", "The connection closed before the body ended.")
        case StorageError():
            return _problem_of_storage(error)
        case _:
            detail = "The service failed because of a fault of its own. The log has the details under the traceId."
            return Problem(HTTPStatus.INTERNAL_SERVER_ERROR, "internal-server-error", detail)


def _problem_of_storage(error: StorageError) -> Problem:
    kind = "storage-unavailable"
    detail = "The ledger's database is not available; nothing was changed. Repeat the request later."
    if isinstance(error, OutcomeUnknown):
        kind = "outcome-unknown"
        detail = (
            "The connection to the ledger's database was lost during the commit; the change may or may not be stored."
            " Repeat the same request: it is idempotent, nothing happens twice."
        )
    if name := unbuilt_projections.unbuilt_projection_in(error):
        kind = "projection-not-built"
        command = unbuilt_projections.rebuild_command_line([name])
        detail = f"The table that answers this request has not been built yet. An operator builds it with: {command}"
    return Problem(HTTPStatus.SERVICE_UNAVAILABLE, kind, detail, headers={"Retry-After": "5"})


def _problem_of_refusal(refusal: Refused) -> Problem:
    match refusal:
        case IdempotencyKeyReused():
            field = InvalidField(("concurrencyRequestId",), "was already used with different content")
            return Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "idempotency-key-reused", f"{refusal}.", errors=[field])
        case RunInProgress():
            run = run_path(refusal.run_id)
            return Problem(
                HTTPStatus.CONFLICT,
                "run-in-progress",
                f"{refusal}.",
                headers={"Retry-After": str(RUN_TAKES_SECONDS), "Link": f'<{run}>; rel="related"'},
                more={"activeRun": run},
            )
        case RateLimitExceeded() | DailyQuotaExceeded():
            seconds = refusal.seconds_to_wait if isinstance(refusal, RateLimitExceeded) else refusal.seconds_to_next_day
            kind = "rps" if isinstance(refusal, RateLimitExceeded) else "daily"
            headers = {"Retry-After": str(seconds)}
            return Problem(
                HTTPStatus.TOO_MANY_REQUESTS, "quota-exceeded", f"{refusal}.", headers=headers, more={"limit": kind}
            )
        case FileSuperseded() | FileDatedAhead() | FileOfAnotherPartner():
            return _problem_of_file_name(refusal)
        case OfferOfOtherMerchant():
            field = InvalidField(("path", "external_merchant_id"), "ID mismatch, the offer has another merchant")
            return Problem(HTTPStatus.BAD_REQUEST, "validation-error", f"{refusal}.", errors=[field])
        case PreconditionFailed():
            return Problem(HTTPStatus.PRECONDITION_FAILED, "precondition-failed", f"{refusal}.")
        case RunLimitReached():
            headers = {"Retry-After": str(refusal.seconds_to_next_window)}
            return Problem(HTTPStatus.TOO_MANY_REQUESTS, "run-limit-reached", f"{refusal}.", headers=headers)
        case _:
            return _problem_of_report(refusal)


def _problem_of_file_name(refusal: FileSuperseded | FileDatedAhead | FileOfAnotherPartner) -> Problem:
    match refusal:
        case FileSuperseded():
            field = InvalidField(("name",), "is dated before a file that was already processed")
            return Problem(HTTPStatus.CONFLICT, "file-superseded", f"{refusal}.", errors=[field])
        case FileDatedAhead(days=days):
            message = f"has a date more than {days} days ahead of the service's clock"
        case FileOfAnotherPartner():
            message = "begins with the name of another partner"
    return validation_error([InvalidField(("name",), message)])


def _problem_of_report(refusal: Refused) -> Problem:
    """Returns the problem for a refused report of a publisher."""
    match refusal:
        case UnknownOffer():
            return not_found("offer")
        case TimeInFuture():
            return validation_error([InvalidField((refusal.field,), "must not be in the future")])
        case FlightInThePast():
            return validation_error([InvalidField(("startsAt",), "must not be in the past")])
        case HoldEndsInThePast():
            return validation_error([InvalidField(("until",), "must be in the future")])
        case UnknownRedemption():
            return not_found("redemption")
        case UnknownRun():
            return not_found("run")
        case TransactionReused() | ReversalReused():
            name = "transactionId" if isinstance(refusal, TransactionReused) else "reversalId"
            field = InvalidField((name,), "was already used with different members")
            return Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "idempotency-key-reused", f"{refusal}.", errors=[field])
        case ReversalExceedsRedemption():
            more = {"remaining": str(refusal.remaining)}
            return Problem(HTTPStatus.CONFLICT, "reversal-exceeds-redemption", f"{refusal}.", more=more)
        case _:
            return Problem(HTTPStatus.CONFLICT, _CONFLICTS.get(type(refusal), "refused"), f"{refusal}.")


_CONFLICTS: dict[type[Refused], str] = {
    FlightConflict: "flight-taken",
    NothingToUndo: NOTHING_TO_UNDO,
    OfferNotActivatable: "offer-not-activatable",
    OfferOnHold: "offer-held",
    TooManyFlights: "too-many-flights",
    TooManyReversals: "too-many-reversals",
}
