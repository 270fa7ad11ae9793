"""Validates a batch of offers, for the HTTP channel and the command line."""

import hashlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any
from uuid import UUID

from msgspec import Raw, Struct

from api.bounds.body import BodyBounds, of_accepted
from api.http.problems import validation_error
from api.intake.batch_schemas import BatchEnvelope, BatchItem
from api.intake.incoming_batch import IncomingBatch, ReadBatch
from api.intake.item_parts import ItemPart, parts_of
from api.intake.previews import VALUES_BESIDE_CONTENT, ItemPreview
from api.intake.quoted_integers import unquote_integers
from api.parsing.array_splitter import Body
from api.parsing.item_list import (
    LIST_MEMBER,
    envelope_messages,
    has_one_member,
    ignored_members,
    item_messages,
    read_envelope,
    read_object,
    schema_errors,
    split_body,
    too_many_values,
    valid_id,
)
from api.validation.field_errors import InvalidField
from api.validation.known_members import known_members, misspelt_members
from domain.offers.content import SentContent, digest
from domain.offers.offer import Offer
from domain.runs.batch_reconciliation import InvalidItem, SentItem, ValidItem
from domain.runs.run import Batch
from domain.values import Operation, ProgressCallback, no_progress


class ValidatedBatch(Struct, frozen=True):
    """The items of a batch, and a digest of its meaning: the same for every JSON form of the same valid batch."""

    items: list[SentItem]
    remarks: list[str]
    """Messages to the sender about the envelope."""
    request_digest: str


KnownOffersLookup = Callable[[list[str]], Mapping[str, Offer]]
"""Returns the stored offers with these externalIds."""


def read_request(body: Body, bounds: BodyBounds, incoming: IncomingBatch | None = None) -> Batch:
    """Reads the envelope of a body. Raises Problem if it is invalid, without items, or if the body is not JSON.

    `incoming`: the same body, if it was read ahead."""
    sent = (incoming.split if incoming else None) or split_body(body, bounds, keep=False)
    count, envelope = sent.element_count, read_envelope(sent.members, BatchEnvelope)
    if count == 0:
        raise validation_error([InvalidField((LIST_MEMBER,), "must have at least 1 element")])
    # An accepted run with this id must finish, so the check is not a rule of the envelope.
    request_id = UUID(envelope.concurrencyRequestId)
    if not request_id.int:
        raise validation_error([InvalidField(("concurrencyRequestId",), "must not be the nil UUID")])
    return Batch(Operation(envelope.operation), request_id)


def validate_items(
    body: Body,
    bounds: BodyBounds,
    known: KnownOffersLookup | None = None,
    progress: ProgressCallback = no_progress,
    incoming: IncomingBatch | None = None,
) -> ValidatedBatch:
    """Validates every item of a body that `read_request` has accepted. Raises Problem if its envelope is invalid.

    An item with the same bytes as the offer's last accepted item is not parsed again. `incoming`: the same body, if it was
    read ahead."""
    sent, parts = (incoming.take() if incoming else None) or _read(body, bounds)
    envelope = read_envelope(sent.members, BatchEnvelope)
    offers = known([preview.external_id for part in parts for preview in part.previews if preview]) if known else {}
    items: list[SentItem] = []
    while parts:
        progress(len(items), sent.element_count)
        items += _validate_part(parts.popleft(), len(items), offers, bounds.max_values)
    progress(len(items), len(items))
    remarks = envelope_messages(sent, envelope.model_extra or {}, "not a member of a batch")
    return ValidatedBatch(items, remarks, _request_digest(envelope.operation, items))


def _read(body: Body, bounds: BodyBounds) -> ReadBatch:
    sent = split_body(body, of_accepted(bounds))
    return ReadBatch(sent, deque(parts_of(sent.elements, bounds.max_values)))


def _validate_part(part: ItemPart, start: int, offers: Mapping[str, Offer], max_values: int) -> Iterator[SentItem]:
    """Yields the items of a part; `start` is the index of the first one."""
    digests = _digests(part, offers, max_values)
    for number, (preview, content_digest) in enumerate(zip(part.previews, digests, strict=True)):
        element, sent_digest = part.elements[number], part.sent_digests[number]
        if preview and content_digest:
            yield ValidItem(preview.external_id, SentContent(preview.content, content_digest, sent_digest))
        elif message := _too_many_values(element, preview, max_values):
            yield _unread_item(element, start + number, preview, message, sent_digest)
        else:
            yield validate_item(element, start + number, preview, sent_digest)


def _digests(part: ItemPart, offers: Mapping[str, Offer], max_values: int) -> list[str | None]:
    """Returns the content digests of the items that the offer already has in the same bytes, and of the usual ones."""
    digests = [
        offer.content_digest
        if preview
        and (offer := offers.get(preview.external_id))
        and offer.sent_digest == sent_digest
        and not _too_many_values(element, preview, max_values)
        else None
        for element, preview, sent_digest in zip(part.elements, part.previews, part.sent_digests, strict=True)
    ]
    new = [number for number, known_digest in enumerate(digests) if known_digest is None]
    part.compute_digests(new, max_values)
    for number in new:
        digests[number] = part.content_digests[number]
    return digests


def validate_item(element: Raw, index: int, preview: ItemPreview | None, sent_digest: str) -> SentItem:
    """Validates one element of `offers`. Returns a ValidItem, or an InvalidItem with messages."""
    read = read_object(element, _KNOWN)
    if isinstance(read, str):
        return _unread_item(element, index, preview, read, sent_digest)
    sent = read.value
    external_id = valid_id(sent.get("externalId"))
    remarks: list[InvalidField] = []
    unknown: list[str] = []
    errors = read.invalid_values or schema_errors(sent, BatchItem, unknown)
    if errors and not read.invalid_values:
        # Only now, because nearly no item has a quoted integer.
        unquoted = unquote_integers(sent, _KNOWN, (), remarks)
        errors = schema_errors(unquoted, BatchItem, unknown) if remarks else errors
    hints = misspelt_members(sent, _KNOWN) if errors or unknown else []
    if errors:
        at = () if external_id else (LIST_MEMBER, index)
        return InvalidItem(external_id, item_messages(errors, at, hints), sent_digest)
    if external_id is None or preview is None:
        raise AssertionError("an item without a valid externalId breaks a rule")
    content = sent["offerData"]
    content = content[0] if isinstance(content, list) else content
    messages = _remarks(sent, [*remarks, *hints])
    # An item with remarks must be parsed every time, so that its sender gets them every time.
    reusable_digest = None if messages else sent_digest
    text = SentContent(preview.content, digest(content, bytes(element)), reusable_digest)
    return ValidItem(external_id, text, messages)


def _too_many_values(element: Raw, preview: ItemPreview | None, most: int) -> str | None:
    return too_many_values(element, most, beside=VALUES_BESIDE_CONTENT) or (
        too_many_values(preview.content, most) if preview else None
    )


def _unread_item(element: Raw, index: int, preview: ItemPreview | None, message: str, sent_digest: str) -> InvalidItem:
    """Returns the id of an item that was not parsed only if the text can't have another one."""
    is_sure = preview and has_one_member(element, "externalId")
    external_id = valid_id(preview.external_id) if preview and is_sure else None
    return InvalidItem(external_id, (message if external_id else f"{LIST_MEMBER}[{index}]: {message}",), sent_digest)


def _remarks(sent: dict[str, Any], about_content: list[InvalidField]) -> tuple[str, ...]:
    """Returns the messages about a valid item. Unknown members beside the content are ignored, whatever they look like."""
    if not about_content and sent.keys() <= _KNOWN.names:
        return ()
    ignored = ignored_members((name for name in sent if name not in _KNOWN.names), "not a member of an offer")
    return (*ignored, *(str(remark) for remark in about_content if len(remark.place) > 1))


_KNOWN = known_members(BatchItem)


def _request_digest(operation: str, items: Iterable[SentItem]) -> str:
    """Combines the content digests of valid items and the digests of the bytes of invalid ones."""
    sha256 = hashlib.sha256(operation.encode())
    for item in items:
        match item:
            case ValidItem(external_id=external_id, content=content):
                line = f"= {content.digest} {external_id}"
            case InvalidItem(sent_digest=sent_digest):
                line = f"~ {sent_digest}"
        # Hashing each line separately prevents an item from imitating two: an externalId may contain line breaks.
        sha256.update(hashlib.sha256(line.encode()).digest())
    return sha256.hexdigest()
