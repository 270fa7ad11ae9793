"""How does a publisher report many activations at once? As lines of JSON, each with an outcome of its own."""

from collections import Counter
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

import msgspec
from fastapi import APIRouter, Request, Response
from msgspec import Struct

from api.dependencies.authentication import ServiceDep
from api.http.content_negotiation import NDJSON, require_lines
from api.http.exception_handlers import problem_of
from api.http.ledger_position import set_newest_position
from api.http.pagination import JSON
from api.http.problem_schemas import BODY_PROBLEMS, PROBLEMS
from api.http.problems import Problem, logger, problem_document, validation_error
from api.http.query_params import no_parameters
from api.parsing.json_body import MAX_BYTES, body_too_large, read_as, receive
from api.redemption.activation_routes import ACTIVATIONS_PATH, MayReport, activation_document, activation_request
from api.redemption.activation_schemas import ActivationBatchReply
from api.redemption.activation_schemas import ActivationRequest as ActivationBody
from api.validation.field_errors import InvalidField
from domain.ledgers.activation_ledger import ActivationLedger
from domain.ledgers.ledger import StorageError
from domain.redemption.activation_group import Activated, PendingActivation
from domain.refusals import Refused
from projections.access.tokens import Caller

MAX_LINES = 10_000
MAX_BATCH_BYTES = 16 * 1024 * 1024
LINES_PER_TRANSACTION = 200
"""So many take some forty milliseconds: no single request waits for longer."""

router = APIRouter(tags=["activations"], responses=PROBLEMS)


@router.post(
    f"{ACTIVATIONS_PATH}/batch",
    responses={200: {"model": ActivationBatchReply}, **BODY_PROBLEMS},
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {NDJSON: {"schema": {"$ref": "#/components/schemas/ActivationRequest"}}},
        }
    },
)
async def activate_offers(request: Request, service: ServiceDep, caller: MayReport) -> Response:
    """Up to 10,000 activations, one a line; each is recorded, found or refused as if it had been sent alone."""
    no_parameters(request)
    require_lines(request)
    lines = _lines(await receive(request, MAX_BATCH_BYTES))
    report = _Report(caller, service.activations)
    desk = request.app.state.desk
    for first in range(0, len(lines), LINES_PER_TRANSACTION):
        await desk.run_write(report.execute, lines[first : first + LINES_PER_TRANSACTION])
    await desk.run_read(set_newest_position, request, service.ledger)
    return Response(await desk.run_read(report.document), media_type=JSON)


class BatchLine(Struct, frozen=True):
    """By its number in the body, from 1 on."""

    number: int
    text: bytes


def _lines(body: bytes) -> list[BatchLine]:
    """Those that are not blank. Raises Problem 422."""
    # Blank ones are counted before any is looked at: there may be millions.
    lines: list[BatchLine] = []
    if body.count(b"\n") <= 2 * MAX_LINES:
        lines = [BatchLine(number, text) for number, text in enumerate(body.split(b"\n"), 1) if text.strip()]
    if not 1 <= len(lines) <= MAX_LINES:
        raise validation_error([InvalidField((), f"the body must have 1 to {MAX_LINES} lines")])
    return lines


_Refusal = dict[str, Any]
"""What is told of a line that is refused."""


def _refusal(problem: Problem) -> _Refusal:
    return {"outcome": "refused", "status": problem.status, "problem": problem_document(problem)}


class _Report:
    """The outcomes of the lines so far, in their order."""

    def __init__(self, caller: Caller, ledger: ActivationLedger) -> None:
        self._caller = caller
        self._ledger = ledger
        self._items: list[dict[str, Any]] = []
        self._counts: Counter[str] = Counter(created=0, existing=0, refused=0)
        self._trouble: StorageError | None = None

    def execute(self, lines: Sequence[BatchLine]) -> None:
        """In one transaction. If the storage fails after some lines have been recorded, the others are told so; before
        that, raises StorageError."""
        read = [self._read(line) for line in lines]
        asked = [one for one in read if isinstance(one, PendingActivation)]
        results = iter(self._submit(asked))
        for line, one in zip(lines, read, strict=True):
            self._tell(line, next(results) if isinstance(one, PendingActivation) else one)

    def _read(self, line: BatchLine) -> PendingActivation | _Refusal:
        try:
            if len(line.text) > MAX_BYTES:
                raise body_too_large(MAX_BYTES, "line")
            return activation_request(self._caller, read_as(line.text, ActivationBody))
        except Problem as problem:
            # What is kept until all lines are read holds nothing of the line.
            return _refusal(problem)

    def _submit(self, asked: Sequence[PendingActivation]) -> Sequence[Activated | Refused | StorageError]:
        if self._trouble is None:
            try:
                return self._ledger.execute(asked)
            except StorageError as error:
                if not self._items:
                    raise
                self._trouble = error
                logger.error("a batch of activations: some lines are not recorded: %s", error, exc_info=error)
        return [self._trouble] * len(asked)

    def _tell(self, line: BatchLine, result: Activated | Refused | StorageError | _Refusal) -> None:
        if isinstance(result, Activated):
            outcome, status = ("created", HTTPStatus.CREATED) if result.is_new else ("existing", HTTPStatus.OK)
            told: dict[str, Any] = {"outcome": outcome, "status": status}
            told["activation"] = activation_document(result.activation)
        else:
            told = result if isinstance(result, dict) else _refusal(problem_of(result))
        self._counts[told["outcome"]] += 1
        self._items.append({"line": line.number, **told})

    def document(self) -> bytes:
        return msgspec.json.encode({"counts": self._counts, "items": self._items})
