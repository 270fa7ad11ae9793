"""Validates a batch of offers, for the HTTP channel and the command line."""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any
from uuid import UUID

import msgspec
from msgspec import Raw, Struct

from api.bounds.body import BodyBounds, of_accepted
from api.http.problems import validation_error
from api.intake.batch_schemas import BatchEnvelope, BatchItem
from api.intake.quoted_integers import unquote_integers
from api.intake.usual_items import MAX_USUAL_BYTES, content_digests
from api.parsing.array_splitter import Body
from api.parsing.item_list import (
    LIST_MEMBER,
    count_elements,
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

VALUES_BESIDE_CONTENT = 100
"""The most values of an item that do not belong to its content, if the content has as many values as it may have."""


ITEMS_PER_CALL = 500
"""Items that are decoded in one call. A message about progress follows each."""
BYTES_PER_VALUE = 2
"""The least bytes of a value in a list: a digit and a comma."""


class ValidatedBatch(Struct, frozen=True):
    """The items of a batch, and a digest of its meaning: the same for every JSON form of the same valid batch."""

    items: list[SentItem]
    remarks: list[str]
    """Messages to the sender about the envelope."""
    request_digest: str


class ItemPreview(Struct, frozen=True, gc=False, rename="camel"):
    """Members of an item that are read before it is validated. They are reliable only if the item is valid."""

    external_id: str
    offer_data: list[Raw] | None = None

    @property
    def content(self) -> Raw:
        return self.offer_data[0] if self.offer_data else Raw(b"null")


class _ObjectItemPreview(Struct, frozen=True, gc=False, rename="camel"):
    external_id: str
    offer_data: Raw = Raw(b"null")


KnownOffersLookup = Callable[[list[str]], Mapping[str, Offer]]
"""Returns the stored offers with these externalIds."""


def read_request(body: Body, bounds: BodyBounds) -> Batch:
    """Reads the envelope of a body. Raises Problem if it is invalid, without items, or if the body is not JSON."""
    count, envelope = count_elements(body, bounds, BatchEnvelope)
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
) -> ValidatedBatch:
    """Validates every item of a body that `read_request` has accepted. Raises Problem if its envelope is invalid.

    An item with the same bytes as the offer's last accepted item is not parsed again."""
    sent = split_body(body, of_accepted(bounds))
    envelope = read_envelope(sent.members, BatchEnvelope)
    previews = [preview for part in _parts(sent.elements) for preview in _previews(part, bounds.max_values)]
    offers = known([preview.external_id for preview in previews if preview]) if known else {}
    items: list[SentItem] = []
    for part in _parts(sent.elements):
        progress(len(items), len(sent.elements))
        items += _validate_part(part, len(items), previews, offers, bounds.max_values)
    progress(len(items), len(items))
    remarks = envelope_messages(sent, envelope.model_extra or {}, "not a member of a batch")
    return ValidatedBatch(items, remarks, _request_digest(envelope.operation, items))


def _parts(elements: Sequence[Raw]) -> Iterator[Sequence[Raw]]:
    return (elements[start : start + ITEMS_PER_CALL] for start in range(0, len(elements), ITEMS_PER_CALL))


def _validate_part(
    elements: Sequence[Raw],
    start: int,
    all_previews: Sequence[ItemPreview | None],
    offers: Mapping[str, Offer],
    max_values: int,
) -> Iterator[SentItem]:
    """Yields the items of consecutive elements; `start` is the index of the first one."""
    previews = all_previews[start : start + len(elements)]
    sent_digests = [hashlib.sha256(element).hexdigest() for element in elements]
    digests = _digests(elements, previews, sent_digests, offers, max_values)
    for number, (preview, content_digest) in enumerate(zip(previews, digests, strict=True)):
        element, sent_digest = elements[number], sent_digests[number]
        if preview and content_digest:
            yield ValidItem(preview.external_id, SentContent(preview.content, content_digest, sent_digest))
        elif message := _too_many_values(element, preview, max_values):
            yield _unread_item(element, start + number, preview, message, sent_digest)
        else:
            yield validate_item(element, start + number, preview, sent_digest)


def _digests(
    elements: Sequence[Raw],
    previews: Sequence[ItemPreview | None],
    sent_digests: Sequence[str],
    offers: Mapping[str, Offer],
    max_values: int,
) -> list[str | None]:
    """Returns the content digests of the elements that the offer already has in the same bytes, and of the usual ones."""
    digests = [
        offer.content_digest
        if preview
        and (offer := offers.get(preview.external_id))
        and offer.sent_digest == sent_digest
        and not _too_many_values(element, preview, max_values)
        else None
        for element, preview, sent_digest in zip(elements, previews, sent_digests, strict=True)
    ]
    new = [number for number, known_digest in enumerate(digests) if known_digest is None]
    max_bytes = min(MAX_USUAL_BYTES, BYTES_PER_VALUE * max_values)
    for number, digest_of_new in zip(new, content_digests([elements[n] for n in new], max_bytes), strict=True):
        digests[number] = digest_of_new
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
_decode_previews = msgspec.json.Decoder(list[ItemPreview]).decode
_decode_preview = msgspec.json.Decoder(ItemPreview).decode
_decode_object_preview = msgspec.json.Decoder(_ObjectItemPreview).decode


def _previews(elements: Sequence[Raw], max_values: int) -> list[ItemPreview | None]:
    if max(map(len, elements)) < BYTES_PER_VALUE * max_values:
        with suppress(msgspec.DecodeError, RecursionError):
            return [*_decode_previews(b"[%b]" % b",".join(elements))]
    return [preview_of(element, max_values) for element in elements]


def preview_of(element: Raw, max_values: int) -> ItemPreview | None:
    try:
        # The elements of a list are not read if they are very many.
        if len(element) < 2 * max_values or not too_many_values(element, max_values, beside=VALUES_BESIDE_CONTENT):
            return _decode_preview(element)
    except (msgspec.DecodeError, RecursionError):
        pass
    try:
        object_preview = _decode_object_preview(element)
    except (msgspec.DecodeError, RecursionError):
        return None
    return ItemPreview(object_preview.external_id, [object_preview.offer_data])


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
