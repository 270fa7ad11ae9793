"""What does a partner ask for with this batch? The same by HTTP and by the command line."""

import hashlib
import sys
from collections.abc import Callable, Iterable, Mapping
from http import HTTPStatus
from itertools import islice
from typing import Any, TypeVar
from uuid import UUID

import msgspec
from msgspec import Raw, Struct
from pydantic import ValidationError

from api.json_element import read_element
from api.json_split import Body, Split, split
from api.problems import Problem, validation_error
from api.schemas.batch import BatchEnvelope, BatchItem
from api.schemas.messages import MAX_COMPLAINTS, Complaint, complaints, shortened
from api.strict_json import NotAnObject, NotJson, TooLargeValue, TooManyElements, flaws
from domain.content import SentContent, digest
from domain.offer import Offer
from domain.reconciliation import InvalidItem, Item, ValidItem
from domain.values import MAX_ID_LENGTH, Operation, Watch, unwatched

ITEMS_PER_GLANCE = 500
SPARE_FRAMES = 100


T = TypeVar("T")


class BatchHead(Struct, frozen=True):
    """What a batch asks for as a whole."""

    operation: Operation
    concurrency_request_id: UUID


class Judged(Struct, frozen=True):
    """A batch item by item, and the digest of what it asks for, however it is spelt."""

    items: list[Item]
    remarks: list[str]
    """For the sender, about the envelope."""
    request_digest: str


class _Head(Struct, frozen=True, gc=False, rename="camel"):
    """What can be told of an item without looking into it; only to be believed if the item is in order."""

    external_id: str
    offer_data: list[Raw] | None = None

    @property
    def content(self) -> Raw:
        return self.offer_data[0] if self.offer_data else Raw(b"null")


class _HeadOfObject(Struct, frozen=True, gc=False, rename="camel"):
    external_id: str
    offer_data: Raw = Raw(b"null")


Known = Callable[[list[str]], Mapping[str, Offer]]
"""Gives what is known of the offers of these externalIds."""


def read_request(body: Body, max_items: int) -> BatchHead:
    """The envelope of a body, and that there are items in it; raises Problem if it is not JSON or not in order."""
    # What is accepted here is taken apart again when it is judged: with stack to spare, however deeply it is nested.
    sent, envelope = _deep_down(SPARE_FRAMES, lambda: _split(body, max_items, keep=False))
    if sent.element_count == 0:
        raise validation_error([Complaint(("offers",), "must have at least 1 element")])
    return BatchHead(Operation(envelope.operation), UUID(envelope.concurrencyRequestId))


def judge(body: Body, known: Known | None = None, watch: Watch = unwatched) -> Judged:
    """Judges every item of a body that read_request has found in order; raises Problem if it is not.

    An item that is known by its bytes need not be looked into."""
    sent, envelope = _split(body, sys.maxsize)
    heads = [_head(element) for element in sent.elements]
    offers = known([head.external_id for head in heads if head]) if known else {}
    items: list[Item] = []
    for index, (element, head) in enumerate(zip(sent.elements, heads, strict=True)):
        sent_digest = hashlib.sha256(element).hexdigest()
        offer = offers.get(head.external_id) if head else None
        if head and offer and offer.sent_digest == sent_digest:
            content = SentContent(head.content, offer.content_digest, sent_digest)
            items.append(ValidItem(head.external_id, content))
        else:
            items.append(judge_item(element, index, head, sent_digest))
        if index % ITEMS_PER_GLANCE == 0:
            watch(index, len(heads))
    watch(len(heads), len(heads))
    remarks = _ignored(envelope.model_extra or {}, "not a member of a batch")
    return Judged(items, list(remarks), _request_digest(envelope.operation, items))


def judge_item(element: Raw, index: int, head: _Head | None, sent_digest: str) -> Item:
    """One element of `offers` as an item: valid, or with what is wrong with it."""
    try:
        read = read_element(bytes(element))
    except NotJson as error:  # nested so deeply that it can only be passed over
        return InvalidItem(head.external_id if head else None, (str(error),), sent_digest)
    sent = read.value
    if not isinstance(sent, dict):
        return InvalidItem(None, (f"offers[{index}]: must be an object",), sent_digest)
    external_id = _readable_id(sent.get("externalId"))
    if broken := read.flaws or _broken_rules(sent):
        at = () if external_id else ("offers", index)
        told = [str(Complaint((*at, *complaint.place), complaint.message)) for complaint in broken[:MAX_COMPLAINTS]]
        if len(broken) > MAX_COMPLAINTS:
            told.append("there are more problems")
        return InvalidItem(external_id, tuple(told), sent_digest)
    if external_id is None or head is None:
        raise AssertionError("an item without a readable externalId breaks a rule")
    content = sent["offerData"]
    content = content[0] if isinstance(content, list) else content
    remarks = _ignored((name for name in sent if name not in BatchItem.model_fields), "not a member of an offer")
    # What has to be remarked upon can't be known again by its bytes alone.
    known_by = None if remarks else sent_digest
    return ValidItem(external_id, SentContent(head.content, digest(content), known_by), remarks)


_decode_head = msgspec.json.Decoder(_Head).decode
_decode_head_of_object = msgspec.json.Decoder(_HeadOfObject).decode


def _head(element: Raw) -> _Head | None:
    try:
        return _decode_head(element)
    except (msgspec.DecodeError, RecursionError):
        pass
    try:
        of_object = _decode_head_of_object(element)
    except (msgspec.DecodeError, RecursionError):
        return None
    return _Head(of_object.external_id, [of_object.offer_data])


def _deep_down(frames: int, function: Callable[[], T]) -> T:
    return _deep_down(frames - 1, function) if frames else function()


def _split(body: Body, max_items: int, *, keep: bool = True) -> tuple[Split, BatchEnvelope]:
    try:
        sent = split(body, "offers", max_items, keep=keep)
    except NotJson as error:
        raise Problem(HTTPStatus.BAD_REQUEST, "not-json", f"The body is not valid JSON: {error}.") from None
    except NotAnObject:
        raise validation_error([Complaint((), "the body must be an object")]) from None
    except TooLargeValue as error:
        raise Problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "content-too-large", f"{error}.") from None
    except TooManyElements:
        raise validation_error([Complaint(("offers",), f"must have at most {max_items} elements")]) from None
    return sent, _envelope(sent.members)


def _ignored(names: Iterable[str], why: str) -> tuple[str, ...]:
    return tuple(f"{shortened(name)}: ignored, {why}" for name in islice(names, MAX_COMPLAINTS))


def _broken_rules(sent: dict[str, Any]) -> list[Complaint]:
    """What is wrong with an item without flaws, up to one more than will be told."""
    try:
        BatchItem.model_validate(sent)
    except ValidationError as error:
        return complaints(error)
    return []


def _envelope(members: dict[str, Any]) -> BatchEnvelope:
    try:
        return BatchEnvelope.model_validate(members)
    except ValidationError as error:
        raise validation_error(complaints(error)) from None


def _readable_id(sent: Any) -> str | None:
    readable = isinstance(sent, str) and 1 <= len(sent) <= MAX_ID_LENGTH and not any(flaws(sent))
    return sent if readable else None


def _request_digest(operation: str, items: Iterable[Item]) -> str:
    """A valid item counts by its meaning, any other one by its spelling."""
    sha256 = hashlib.sha256(operation.encode())
    for item in items:
        match item:
            case ValidItem(external_id=external_id, content=content):
                told = f"= {content.digest} {external_id}"
            case InvalidItem(sent_digest=sent_digest):
                told = f"~ {sent_digest}"
        # Each by its own digest: no item can be spelt so as to read as two.
        sha256.update(hashlib.sha256(told.encode()).digest())
    return sha256.hexdigest()
