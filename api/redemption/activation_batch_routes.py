"""Batches of activations: JSON lines, each with its own outcome."""

from collections import Counter
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

from fastapi import APIRouter, Request, Response
from msgspec import Struct

from api.dependencies.authentication import ServiceDep, origin_of
from api.dependencies.roles import Publisher
from api.dependencies.runtime import runtime_of
from api.http.content_negotiation import NDJSON, require_lines
from api.http.exception_handlers import problem_of
from api.http.ledger_position import set_newest_position
from api.http.problems import Problem, logger, problem_document, validation_error
from api.http.query_params import no_parameters
from api.http.replies import json_response
from api.parsing.body_start import MARK_SKIPPED
from api.parsing.json_body import MAX_BYTES, body_too_large, read_as, without_mark
from api.redemption.activation_routes import ACTIVATIONS_PATH, activation_document, activation_request
from api.redemption.activation_schemas import ActivationBatchReply
from api.redemption.activation_schemas import ActivationRequest as ActivationBody
from api.service import Service
from api.validation.field_errors import InvalidField
from domain.ledgers.activation_ledger import ActivationLedger
from domain.ledgers.ledger import StorageError
from domain.redemption.activation_group import ActivationResult, PendingActivation
from domain.refusals import Refused
from domain.values import Origin, Source
from projections.access.tokens import Caller

MAX_LINES = 10_000
MAX_BATCH_BYTES = 16 * 1024 * 1024
LINES_PER_TRANSACTION = 200
"""These take about 40 milliseconds, so other requests wait no longer than that for the lock."""

router = APIRouter(tags=["activations"])


@router.post(
    f"{ACTIVATIONS_PATH}/batch",
    responses={200: {"model": ActivationBatchReply}},
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {NDJSON: {"schema": {"$ref": "#/components/schemas/ActivationRequest"}}},
        }
    },
)
async def activate_offers(request: Request, service: ServiceDep, caller: Publisher) -> Response:
    """Record up to 10,000 activations, one per line. Each line has the same outcome as a single request."""
    no_parameters(request)
    require_lines(request)
    bodies = runtime_of(request).waiting_bodies
    holder = f"publisher {caller.name}"
    async with bodies.receive(request, holder, MAX_BATCH_BYTES) as body, bodies.batch_turn(body, holder):
        return await _record(request, service, caller, without_mark(await bodies.load(body)))


async def _record(request: Request, service: Service, caller: Caller, read: tuple[bytes, bool]) -> Response:
    body, has_mark = read
    lines = _lines(body)
    report = _Report(
        origin_of(request, caller, Source.PUBLISHER), service.activations, [MARK_SKIPPED] if has_mark else []
    )
    threads = runtime_of(request).threads
    for first in range(0, len(lines), LINES_PER_TRANSACTION):
        await threads.run_write(report.execute, lines[first : first + LINES_PER_TRANSACTION])
    await threads.run_read(set_newest_position, request, service.ledger)
    return await threads.run_read(report.response)


class BatchLine(Struct, frozen=True):
    """`number` counts the lines of the body from 1."""

    number: int
    text: bytes


def _lines(body: bytes) -> list[BatchLine]:
    """Returns the lines that are not blank. Raises Problem 422."""
    # Counted before splitting, because a body can have millions of blank lines.
    lines: list[BatchLine] = []
    if body.count(b"\n") <= 2 * MAX_LINES:
        lines = [BatchLine(number, text) for number, text in enumerate(body.split(b"\n"), 1) if text.strip()]
    if not 1 <= len(lines) <= MAX_LINES:
        raise validation_error([InvalidField((), f"the body must have 1 to {MAX_LINES} lines")])
    return lines


_Refusal = dict[str, Any]
"""The reply's members for a refused line."""


def _refusal(problem: Problem) -> _Refusal:
    return {"outcome": "refused", "status": problem.status, "problem": problem_document(problem)}


class _Report:
    """The outcomes of the lines so far, in the order of the lines."""

    def __init__(self, origin: Origin, ledger: ActivationLedger, messages: list[str]) -> None:
        self._origin = origin
        self._ledger = ledger
        self._messages = messages
        self._items: list[dict[str, Any]] = []
        self._counts: Counter[str] = Counter(created=0, existing=0, refused=0)
        self._storage_error: StorageError | None = None

    def execute(self, lines: Sequence[BatchLine]) -> None:
        """Executes the lines in one transaction.

        If the storage fails after the first transaction, these and all later lines are refused. If the first one
        fails, raises StorageError."""
        parsed = [self._parse(line) for line in lines]
        requests = [request for request in parsed if isinstance(request, PendingActivation)]
        results = iter(self._submit(requests))
        for line, request in zip(lines, parsed, strict=True):
            self._add(line, next(results) if isinstance(request, PendingActivation) else request)

    def _parse(self, line: BatchLine) -> PendingActivation | _Refusal:
        try:
            if len(line.text) > MAX_BYTES:
                raise body_too_large(MAX_BYTES, "line")
            return activation_request(self._origin, read_as(line.text, ActivationBody))
        except Problem as problem:
            # The refusal keeps no reference to the line, so memory stays small.
            return _refusal(problem)

    def _submit(self, requests: Sequence[PendingActivation]) -> Sequence[ActivationResult | Refused | StorageError]:
        if self._storage_error is None:
            try:
                return self._ledger.execute(requests)
            except StorageError as error:
                if not self._items:
                    raise
                self._storage_error = error
                logger.error("batch of activations: the remaining lines are not recorded: %s", error, exc_info=error)
        return [self._storage_error] * len(requests)

    def _add(self, line: BatchLine, result: ActivationResult | Refused | StorageError | _Refusal) -> None:
        if isinstance(result, ActivationResult):
            outcome, status = ("created", HTTPStatus.CREATED) if result.is_new else ("existing", HTTPStatus.OK)
            members: dict[str, Any] = {"outcome": outcome, "status": status}
            members["activation"] = activation_document(result.activation)
        else:
            members = result if isinstance(result, dict) else _refusal(problem_of(result))
        self._counts[members["outcome"]] += 1
        self._items.append({"line": line.number, **members})

    def response(self) -> Response:
        return json_response({"messages": self._messages, "counts": self._counts, "items": self._items})
