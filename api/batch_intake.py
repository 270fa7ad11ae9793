"""What does a partner ask for with this batch, and what is it told? The same by HTTP and by the command line."""

import hashlib
import json
from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import Any
from uuid import UUID, uuid4, uuid5

from pydantic import ValidationError

from api.problems import Problem, validation_error
from api.schemas.batch import BatchEnvelope, BatchItem
from api.schemas.messages import Complaint, complaints
from api.strict_json import Flaw, NotAnObject, NotJson, flaws, read_envelope
from domain.content import digest
from domain.ledger import RunBatch
from domain.reconciliation import InvalidItem, Item, ValidItem
from domain.run import Run
from domain.values import Operation

MAX_ID_LENGTH = 256

Advance = Callable[[int], None]
"""Told how many items have been judged since it was last told."""


def read_batch(body: bytes, partner: str, max_items: int, advance: Advance = lambda _: None) -> RunBatch:
    """Judges a request body; raises Problem if its envelope is not in order."""
    try:
        sent = read_envelope(body, "offers")
    except NotJson as error:
        raise Problem(HTTPStatus.BAD_REQUEST, "not-json", f"The body is not valid JSON: {error}.") from None
    except NotAnObject:
        raise validation_error([Complaint((), "the body must be an object")]) from None
    envelope, elements = _envelope(sent.members), sent.elements or []
    _require_item_count(len(elements), max_items)
    items = []
    for index, element in enumerate(elements):
        items.append(judge(element, index))
        advance(1)
    return RunBatch(
        run_id=uuid4(),
        partner=partner,
        operation=Operation(envelope.operation),
        concurrency_request_id=UUID(envelope.concurrencyRequestId),
        request_digest=_request_digest(envelope.operation, elements),
        items=items,
        remarks=[f"{name}: ignored, not a member of a batch" for name in envelope.model_extra or {}],
    )


def judge(element: Any, index: int) -> Item:
    """One element of `offers` as an item: valid, or with everything that is wrong with it."""
    if not isinstance(element, dict):
        return InvalidItem(None, [f"offers[{index}]: must be an object"])
    broken = [f"{path}: {message}" for path, message in flaws(element, "")]
    external_id = _readable_id(element.get("externalId"))
    if not broken:
        try:
            BatchItem.model_validate(element)
        except ValidationError as error:
            broken = [str(complaint) for complaint in complaints(error)]
    if external_id is None:
        return InvalidItem(None, [f"offers[{index}].{message}" for message in broken])
    if broken:
        return InvalidItem(external_id, broken)
    content = element["offerData"]
    content = content[0] if isinstance(content, list) else content
    remarks = [f"{name}: ignored, not a member of an offer" for name in element if name not in BatchItem.model_fields]
    return ValidItem(external_id, content, digest(content), remarks)


def reply(run: Run) -> dict[str, Any]:
    """The vendor's reply to a run that applied something.

    It is made of the run's record alone, so that the same request is answered with the same words for ever."""
    partial = bool(run.outcome.failed)
    return {
        "responseId": _response_id(run),
        "isSuccessful": True,
        "responseTitle": "Partial Success" if partial else "Success",
        "responseType": "PartialSuccess" if partial else "Success",
        "messages": run.outcome.messages,
        "data": _data(run),
    }


def require_success(run: Run, headers: dict[str, str]) -> None:
    """Raises Problem `all-items-failed`, as full of data as a reply, for a run that could apply nothing."""
    if run.outcome.all_failed:
        raise Problem(
            HTTPStatus.UNPROCESSABLE_ENTITY,
            "all-items-failed",
            "No offer of this batch is in order; nothing has been changed.",
            headers=headers,
            data=_data(run),
            response_id=_response_id(run),
        )


def _response_id(run: Run) -> str:
    return str(uuid5(run.run_id, "reply"))


def _data(run: Run) -> dict[str, Any]:
    outcome = run.outcome
    return {
        "concurrencyRequestId": run.concurrency_request_id,
        "runId": run.run_id,
        "createdOffers": outcome.created,
        "updatedOffers": outcome.updated,
        "notChangedOffers": outcome.unchanged,
        "pausedOffers": outcome.paused,
        "failedOffers": outcome.failed,
        "counts": outcome.counts,
    }


def _envelope(members: dict[str, Any]) -> BatchEnvelope:
    try:
        return BatchEnvelope.model_validate(members)
    except ValidationError as error:
        raise validation_error(list(complaints(error))) from None


def _require_item_count(count: int, max_items: int) -> None:
    if count == 0:
        raise validation_error([Complaint(("offers",), "must have at least 1 element")])
    if count > max_items:
        raise validation_error([Complaint(("offers",), f"must have at most {max_items} elements")])


def _readable_id(sent: Any) -> str | None:
    readable = isinstance(sent, str) and 1 <= len(sent) <= MAX_ID_LENGTH and not any(flaws(sent, ""))
    return sent if readable else None


def _request_digest(operation: str, elements: Iterable[Any]) -> str:
    sha256 = hashlib.sha256(operation.encode())
    for element in elements:
        sha256.update(b"\n")
        sha256.update(json.dumps(element, sort_keys=True, separators=(",", ":"), default=_as_sent).encode())
    return sha256.hexdigest()


def _as_sent(value: Any) -> Any:
    return {"flaw": value.sent} if isinstance(value, Flaw) else repr(value)
