"""What does a partner ask for with this batch? The same by HTTP and by the command line."""

import hashlib
import sys
from collections.abc import Callable, Iterable, Mapping
from uuid import UUID

import msgspec
from msgspec import Raw, Struct

from api.http.problems import validation_error
from api.intake.batch_schemas import BatchEnvelope, BatchItem
from api.parsing.array_splitter import Body
from api.parsing.item_list import (
    LIST,
    count_elements,
    ignored_members,
    item_messages,
    read_envelope,
    read_object,
    schema_errors,
    split_body,
    valid_id,
    with_progress,
)
from api.validation.field_errors import InvalidField
from domain.offers.content import SentContent, digest
from domain.offers.offer import Offer
from domain.runs.batch_reconciliation import InvalidItem, SentItem, ValidItem
from domain.runs.run import Batch
from domain.values import Operation, ProgressCallback, no_progress


class ValidatedBatch(Struct, frozen=True):
    """A batch item by item, and the digest of what it asks for, however it is spelt."""

    items: list[SentItem]
    remarks: list[str]
    """For the sender, about the envelope."""
    request_digest: str


class _ItemPreview(Struct, frozen=True, gc=False, rename="camel"):
    """What can be told of an item without looking into it; only to be believed if the item is in order."""

    external_id: str
    offer_data: list[Raw] | None = None

    @property
    def content(self) -> Raw:
        return self.offer_data[0] if self.offer_data else Raw(b"null")


class _ObjectItemPreview(Struct, frozen=True, gc=False, rename="camel"):
    external_id: str
    offer_data: Raw = Raw(b"null")


KnownOffersLookup = Callable[[list[str]], Mapping[str, Offer]]
"""Gives what is known of the offers of these externalIds."""


def read_request(body: Body, max_items: int) -> Batch:
    """The envelope of a body, and that there are items in it; raises Problem if it is not JSON or not in order."""
    count, envelope = count_elements(body, max_items, BatchEnvelope)
    if count == 0:
        raise validation_error([InvalidField((LIST,), "must have at least 1 element")])
    return Batch(Operation(envelope.operation), UUID(envelope.concurrencyRequestId))


def validate_items(
    body: Body, known: KnownOffersLookup | None = None, watch: ProgressCallback = no_progress
) -> ValidatedBatch:
    """Judges every item of a body that read_request has found in order; raises Problem if it is not.

    An item that is known by its bytes need not be looked into."""
    sent = split_body(body, sys.maxsize)
    envelope = read_envelope(sent.members, BatchEnvelope)
    heads = [_head(element) for element in sent.elements]
    offers = known([head.external_id for head in heads if head]) if known else {}
    items: list[SentItem] = []
    for index, element in with_progress(sent.elements, watch):
        head = heads[index]
        sent_digest = hashlib.sha256(element).hexdigest()
        offer = offers.get(head.external_id) if head else None
        if head and offer and offer.sent_digest == sent_digest:
            content = SentContent(head.content, offer.content_digest, sent_digest)
            items.append(ValidItem(head.external_id, content))
        else:
            items.append(validate_item(element, index, head, sent_digest))
    remarks = ignored_members(envelope.model_extra or {}, "not a member of a batch")
    return ValidatedBatch(items, list(remarks), _request_digest(envelope.operation, items))


def validate_item(element: Raw, index: int, head: _ItemPreview | None, sent_digest: str) -> SentItem:
    """One element of `offers` as an item: valid, or with what is wrong with it."""
    read = read_object(element)
    if isinstance(read, str):
        named = head.external_id if head else None
        return InvalidItem(named, (read if head else f"{LIST}[{index}]: {read}",), sent_digest)
    sent = read.value
    external_id = valid_id(sent.get("externalId"))
    if broken := read.invalid_values or schema_errors(sent, BatchItem):
        return InvalidItem(external_id, item_messages(broken, () if external_id else (LIST, index)), sent_digest)
    if external_id is None or head is None:
        raise AssertionError("an item without a readable externalId breaks a rule")
    content = sent["offerData"]
    content = content[0] if isinstance(content, list) else content
    remarks = (
        ()
        if sent.keys() <= _MEMBERS
        else ignored_members((n for n in sent if n not in _MEMBERS), "not a member of an offer")
    )
    # What has to be remarked upon can't be known again by its bytes alone.
    known_by = None if remarks else sent_digest
    return ValidItem(external_id, SentContent(head.content, digest(content, bytes(element)), known_by), remarks)


_MEMBERS = frozenset(BatchItem.model_fields)
_decode_head = msgspec.json.Decoder(_ItemPreview).decode
_decode_head_of_object = msgspec.json.Decoder(_ObjectItemPreview).decode


def _head(element: Raw) -> _ItemPreview | None:
    try:
        return _decode_head(element)
    except (msgspec.DecodeError, RecursionError):
        pass
    try:
        of_object = _decode_head_of_object(element)
    except (msgspec.DecodeError, RecursionError):
        return None
    return _ItemPreview(of_object.external_id, [of_object.offer_data])


def _request_digest(operation: str, items: Iterable[SentItem]) -> str:
    """A valid item counts by its meaning, any other one by its spelling."""
    sha256 = hashlib.sha256(operation.encode())
    for item in items:
        match item:
            case ValidItem(external_id=external_id, content=content):
                said = f"= {content.digest} {external_id}"
            case InvalidItem(sent_digest=sent_digest):
                said = f"~ {sent_digest}"
        # Each by its own digest: no item can be spelt so as to read as two.
        sha256.update(hashlib.sha256(said.encode()).digest())
    return sha256.hexdigest()
