"""What does a partner ask for with this batch, and what is it told? The same by HTTP and by the command line."""

import hashlib
import json
from collections.abc import Iterable, Sequence
from http import HTTPStatus
from itertools import islice
from typing import Any
from uuid import UUID, uuid4, uuid5

from pydantic import ValidationError

from api.problems import Problem, validation_error
from api.schemas.batch import BatchEnvelope, BatchItem
from api.schemas.messages import MAX_COMPLAINTS, Complaint, complaints, shortened
from api.strict_json import Element, NotAnObject, NotJson, TooManyElements, flaws, read_envelope
from domain.content import digest
from domain.ledger import RunBatch
from domain.reconciliation import InvalidItem, Item, ValidItem
from domain.run import Run
from domain.values import MAX_ID_LENGTH, Operation, Watch, unwatched

ALL_FAILED = "No offer of this batch is in order; nothing has been changed."


def read_batch(body: bytes, partner: str, max_items: int, watch: Watch = unwatched) -> RunBatch:
    """Judges a request body; raises Problem if its envelope is not in order."""
    try:
        sent = read_envelope(body, "offers", max_items)
    except NotJson as error:
        raise Problem(HTTPStatus.BAD_REQUEST, "not-json", f"The body is not valid JSON: {error}.") from None
    except NotAnObject:
        raise validation_error([Complaint((), "the body must be an object")]) from None
    except TooManyElements:
        raise validation_error([Complaint(("offers",), f"must have at most {max_items} elements")]) from None
    envelope, elements = _envelope(sent.members), sent.elements
    if not elements:
        raise validation_error([Complaint(("offers",), "must have at least 1 element")])
    items = []
    for index, element in enumerate(elements):
        items.append(judge(element, index))
        watch(index + 1, len(elements))
    return RunBatch(
        run_id=uuid4(),
        partner=partner,
        operation=Operation(envelope.operation),
        concurrency_request_id=UUID(envelope.concurrencyRequestId),
        request_digest=_request_digest(envelope.operation, elements, items),
        items=items,
        remarks=_ignored(envelope.model_extra or {}, "not a member of a batch"),
    )


def judge(element: Element, index: int) -> Item:
    """One element of `offers` as an item: valid, or with what is wrong with it."""
    sent = element.value
    if not isinstance(sent, dict):
        return InvalidItem(None, [f"offers[{index}]: must be an object"])
    external_id = _readable_id(sent.get("externalId"))
    if broken := element.flaws or _broken_rules(sent):
        at = () if external_id else ("offers", index)
        told = [str(Complaint((*at, *complaint.place), complaint.message)) for complaint in broken[:MAX_COMPLAINTS]]
        if len(broken) > MAX_COMPLAINTS:
            told.append("there are more problems")
        return InvalidItem(external_id, told)
    if external_id is None:
        raise AssertionError("an item without a readable externalId breaks a rule")
    content = sent["offerData"]
    content = content[0] if isinstance(content, list) else content
    beside = (name for name in sent if name not in BatchItem.model_fields)
    return ValidItem(external_id, content, digest(content), _ignored(beside, "not a member of an offer"))


def _ignored(names: Iterable[str], why: str) -> list[str]:
    return [f"{shortened(name)}: ignored, {why}" for name in islice(names, MAX_COMPLAINTS)]


def _broken_rules(sent: dict[str, Any]) -> list[Complaint]:
    """What is wrong with an item without flaws, up to one more than will be told."""
    try:
        BatchItem.model_validate(sent)
    except ValidationError as error:
        return complaints(error)
    return []


def reply(run: Run) -> dict[str, Any]:
    """The vendor's reply to a run.

    It is made of the run's record alone, so that the same request is answered with the same words for ever."""
    if run.outcome.all_failed:
        title, messages = "All Items Failed", [ALL_FAILED, *run.outcome.messages]
    else:
        title, messages = "Partial Success" if run.outcome.failed else "Success", run.outcome.messages
    return {
        "responseId": uuid5(run.run_id, "reply"),
        "isSuccessful": not run.outcome.all_failed,
        "responseTitle": title,
        "responseType": title.replace(" ", ""),
        "messages": messages,
        "data": _data(run),
    }


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
        raise validation_error(complaints(error)) from None


def _readable_id(sent: Any) -> str | None:
    readable = isinstance(sent, str) and 1 <= len(sent) <= MAX_ID_LENGTH and not any(flaws(sent))
    return sent if readable else None


def _request_digest(operation: str, elements: Sequence[Element], items: Sequence[Item]) -> str:
    """A valid item counts by its meaning, any other one by its spelling."""
    sha256 = hashlib.sha256(operation.encode())
    for element, item in zip(elements, items, strict=True):
        if isinstance(item, ValidItem):
            told = f"= {item.content_digest} {item.external_id}"
        else:
            told = f"~ {element.text or json.dumps(element.value, sort_keys=True)}"
        # Each by its own digest: no item can be spelt so as to read as two.
        sha256.update(hashlib.sha256(told.encode()).digest())
    return sha256.hexdigest()
