"""How does the service say no? (RFC 9457, and on the batch path the vendor's own members beside it.)"""

import logging
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any
from uuid import uuid4

import msgspec
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from api.schemas.messages import Complaint, explain
from domain.ledger import StorageError
from domain.refusals import IdempotencyKeyReused, NoSlotLeft, Refused

BATCH_PATH = "/api/v1/integrations/offer-providers/custom/offers"
MEDIA_TYPE = "application/problem+json"

logger = logging.getLogger("offer_ledger")


class Problem(Exception):  # noqa: N818 - named as in RFC 9457
    """An answer that is a refusal. `kind` is the problem's type; `data` fills the batch reply's member of that name."""

    def __init__(
        self,
        status: HTTPStatus,
        kind: str,
        detail: str,
        *,
        errors: Sequence[Complaint] = (),
        headers: dict[str, str] | None = None,
        data: dict[str, Any] | None = None,
        response_id: str | None = None,
    ) -> None:
        super().__init__(detail)
        self.status, self.kind, self.detail, self.errors = status, kind, detail, errors
        self.headers, self.data, self.response_id = headers or {}, data, response_id

    @property
    def title(self) -> str:
        return self.kind.replace("-", " ").capitalize()


def validation_error(errors: Sequence[Complaint]) -> Problem:
    return Problem(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        "validation-error",
        "The request breaks the rules named in errors.",
        errors=errors,
    )


def not_found(what: str) -> Problem:
    return Problem(HTTPStatus.NOT_FOUND, "not-found", f"There is no such {what}.")


def respond(request: Request, problem: Problem) -> Response:
    body: dict[str, Any] = {
        "type": problem.kind,
        "title": problem.title,
        "status": problem.status,
        "detail": problem.detail,
        "instance": request.url.path,
        "errors": [{"pointer": error.pointer, "message": error.message} for error in problem.errors],
        "traceId": request.state.trace_id,
    }
    if request.url.path == BATCH_PATH:
        body |= {
            "responseId": problem.response_id or str(uuid4()),
            "isSuccessful": False,
            "responseTitle": problem.title.title(),
            "responseType": problem.title.title().replace(" ", ""),
            "messages": [str(error) for error in problem.errors] or [problem.detail],
            "data": problem.data,
        }
    return Response(msgspec.json.encode(body), problem.status, problem.headers, MEDIA_TYPE)


def handle_problems(app: FastAPI) -> None:
    """Makes every refusal and every failure of the app answer as a problem."""

    @app.exception_handler(Problem)
    def on_problem(request: Request, problem: Problem) -> Response:
        return respond(request, problem)

    @app.exception_handler(Refused)
    def on_refused(request: Request, refusal: Refused) -> Response:
        return respond(request, of_refusal(refusal))

    @app.exception_handler(RequestValidationError)
    def on_invalid(request: Request, error: RequestValidationError) -> Response:
        return respond(request, validation_error(list(explain(error.errors()))))

    @app.exception_handler(HTTPException)
    def on_http_exception(request: Request, error: HTTPException) -> Response:
        status = HTTPStatus(error.status_code)
        kind = status.phrase.lower().replace(" ", "-")
        return respond(request, Problem(status, kind, f"{status.description}.", headers=dict(error.headers or {})))

    @app.exception_handler(ClientDisconnect)
    def on_disconnect(request: Request, _: ClientDisconnect) -> Response:
        # Nobody is left to read this; the request was not complete, so nothing was done.
        return respond(request, Problem(HTTPStatus.BAD_REQUEST, "incomplete-request", "The request ended too soon."))

    @app.exception_handler(StorageError)
    def on_storage_failure(request: Request, error: StorageError) -> Response:
        logger.error("storage failed: %s", error, exc_info=error)
        detail = "The ledger's storage can't be used at the moment; nothing has been changed."
        problem = Problem(HTTPStatus.SERVICE_UNAVAILABLE, "storage-unavailable", detail, headers={"Retry-After": "5"})
        return respond(request, problem)

    @app.exception_handler(Exception)
    def on_failure(request: Request, _: Exception) -> Response:
        detail = "The service has failed; the fault is its own and has been logged."
        return respond(request, Problem(HTTPStatus.INTERNAL_SERVER_ERROR, "internal-server-error", detail))


def of_refusal(refusal: Refused) -> Problem:
    """The problem that a refusal of the domain is told as."""
    match refusal:
        case IdempotencyKeyReused():
            place = Complaint(("concurrencyRequestId",), "was used before, with other content")
            return Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "idempotency-key-reused", f"{refusal}.", errors=[place])
        case NoSlotLeft():
            headers = {"Retry-After": str(refusal.seconds_to_next_window)}
            return Problem(HTTPStatus.TOO_MANY_REQUESTS, "run-limit-reached", f"{refusal}.", headers=headers)
        case _:
            return Problem(HTTPStatus.CONFLICT, "refused", f"{refusal}.")
