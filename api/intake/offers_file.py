"""Validates an offers file, for the HTTP channel, the command line and drop folders."""

import hashlib
import re
from collections.abc import Iterator
from datetime import date, timedelta

import msgspec
from msgspec import Raw, Struct
from msgspec.structs import replace

from api.bounds.body import BodyBounds, of_accepted
from api.http.problems import validation_error
from api.intake.merchant_offer import build_put, too_large_images, without_status
from api.intake.merchant_schemas import STATUS, warnings
from api.intake.offers_file_schemas import DeletedRecord, FileEnvelope, FileHeader, FileRecord
from api.parsing.array_splitter import Body, Split
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
    with_progress,
)
from api.parsing.strict_json import Element
from api.validation.field_errors import InvalidField
from api.validation.known_members import known_members, misspelt_members
from domain.offers.content import digest
from domain.offers.images import Image
from domain.runs.file_names import begins_with_partner, parse_file_name
from domain.runs.file_reconciliation import (
    InvalidRecord,
    KnownOffers,
    OfferStatus,
    Record,
    ValidRecord,
)
from domain.runs.run import OffersFile, Run
from domain.values import ProgressCallback, no_progress

WRONG_NAME = "must be <Partner>OffersCCYYMMDD.json with a valid date"


class ValidatedFile(Struct, frozen=True):
    """The records of an offers file, and messages about the file as a whole."""

    records: list[Record]
    remarks: list[str]
    brings_images: bool


class _RecordPreview(Struct, frozen=True, gc=False, rename="camel"):
    """Members of a record that are read before it is validated. They are reliable only if the record is valid."""

    merchant_id: str
    offer_id: str


class _Status(Struct, frozen=True, gc=False, rename="camel"):
    offer_status: str = ""


def read_file(name: str, body: Body, bounds: BodyBounds) -> OffersFile:
    """Reads the file name and the envelope. Raises Problem if one of them is invalid, or if the body is not JSON."""
    sent = split_body(body, bounds, keep=False)
    count, envelope = sent.element_count, read_envelope(sent.members, FileEnvelope)
    parts = parse_file_name(name)
    if parts is None:
        raise validation_error([InvalidField(("name",), WRONG_NAME)])
    if count != envelope.header.offerRecordCount:
        place = ("header", "offerRecordCount")
        raise validation_error([InvalidField(place, f"must equal the number of records, which is {count}")])
    return OffersFile(name, parts.dated)


def validate_records(
    body: Body,
    file: OffersFile,
    run: Run,
    known: KnownOffers,
    bounds: BodyBounds,
    progress: ProgressCallback = no_progress,
) -> ValidatedFile:
    """Validates every record of a body that `read_file` has accepted. Raises Problem if its envelope is invalid.

    `known` holds the partner's merchant offers. A record is not parsed again if its bytes are those that the offer was
    last stored from; only the status may differ."""
    sent = split_body(body, of_accepted(bounds))
    envelope = read_envelope(sent.members, FileEnvelope)
    images: dict[str, Image] = {}
    records = [
        _with_shared_images(validate_record(element, index, known, bounds), images)
        for index, element in with_progress(sent.elements, progress)
    ]
    return ValidatedFile(records, list(_remarks(sent, envelope, file, run)), bool(images))


def validate_record(element: Raw, index: int, known: KnownOffers, bounds: BodyBounds) -> Record:
    """Validates one element of `offers`. Returns a ValidRecord, or an InvalidRecord with messages."""
    preview = _preview(element)
    if message := too_many_values(element, bounds.max_values, beside=1):
        return _unread_record(element, index, preview, message)
    status_match = _find_status(element)
    sent_digest = _digest_without_status(element, status_match) if status_match else None
    if (
        preview
        and status_match
        and (offer := known.get((preview.merchant_id, preview.offer_id)))
        and offer.sent_digest == sent_digest
    ):
        put = build_put(without_status(element), offer.content_digest, sent_digest)
        return ValidRecord(preview.merchant_id, preview.offer_id, OfferStatus(status_match[1].decode()), put)
    read = read_object(element, _KNOWN)
    if isinstance(read, str):
        return _unread_record(element, index, preview, read)
    sent = read.value
    merchant_id, external_id = valid_id(sent.get("merchantId")), valid_id(sent.get("offerId"))
    unknown: list[str] = []
    errors = _record_errors(read, bounds, unknown)
    hints = misspelt_members(sent, _KNOWN) if errors or unknown else []
    if errors:
        at = () if merchant_id and external_id else (LIST_MEMBER, index)
        return InvalidRecord(merchant_id, external_id, item_messages(errors, at, hints))
    if merchant_id is None or external_id is None:
        raise AssertionError("a record without valid ids breaks a rule")
    status = OfferStatus(sent.pop(STATUS))
    if status is OfferStatus.DELETED:
        return ValidRecord(merchant_id, external_id, status)
    warning_messages = (*warnings(sent), *map(str, hints))
    # A record with warnings must be parsed every time, so that its sender gets them every time.
    is_reusable = status_match and not warning_messages and _is_record_status(element, status_match)
    reusable_digest = sent_digest if is_reusable else None
    put = build_put(without_status(element), digest(sent, bytes(element)), reusable_digest, warning_messages)
    return ValidRecord(merchant_id, external_id, status, put)


def _unread_record(element: Raw, index: int, preview: _RecordPreview | None, message: str) -> InvalidRecord:
    """Returns the ids of a record that was not parsed only if the text can't have others."""
    is_sure = preview and has_one_member(element, "merchantId") and has_one_member(element, "offerId")
    ids = (valid_id(preview.merchant_id), valid_id(preview.offer_id)) if preview and is_sure else (None, None)
    return InvalidRecord(*ids, (message if all(ids) else f"{LIST_MEMBER}[{index}]: {message}",))


_KNOWN = known_members(FileRecord)


def _digest_without_status(element: Raw, status_match: re.Match[bytes]) -> str:
    """Returns the SHA-256 of a record with a null byte in place of the status, which changes from day to day."""
    text = memoryview(element)
    sha256 = hashlib.sha256(text[: status_match.start(1)])
    sha256.update(b"\0")  # this byte cannot occur in JSON
    sha256.update(text[status_match.end(1) :])
    return sha256.hexdigest()


def _is_record_status(element: Raw, status_match: re.Match[bytes]) -> bool:
    """Returns whether the match is the status of the record, not a nested member of the same name.

    The answer holds for every record that has the same bytes around the match."""
    text = bytes(element)
    return _decode_status(b"%b?%b" % (text[: status_match.start(1)], text[status_match.end(1) :])).offer_status == "?"


# A status that does not delete the offer, anywhere in the record.
_find_status = re.compile(rb'"offerStatus"[ \t\n\r]*:[ \t\n\r]*"(NEW|UPDATED|UPSERT|NO-CHANGE)"').search


def _record_errors(read: Element, bounds: BodyBounds, unknown: list[str]) -> list[InvalidField]:
    """Returns the invalid fields of a record, which must be an object. `unknown`: as in `schema_errors`."""
    sent = read.value
    if sent.get(STATUS) == OfferStatus.DELETED:
        # A deletion ignores all other members, so an invalid value in one of them must not prevent it.
        invalid = [field for field in read.invalid_values if field.place[:1] in _DELETION_MEMBERS]
        return invalid or schema_errors(sent, DeletedRecord)
    return (
        read.invalid_values
        or schema_errors(sent, FileRecord, unknown)
        or too_large_images(sent, bounds.max_image_bytes)
    )


_DELETION_MEMBERS = {(name,) for name in DeletedRecord.model_fields}


def _with_shared_images(record: Record, images: dict[str, Image]) -> Record:
    """Returns the record with images from `images` where equal, so that memory holds each image once."""
    if isinstance(record, InvalidRecord) or record.put is None or not record.put.images:
        return record
    shared = tuple(images.setdefault(image.digest, image) for image in record.put.images)
    return replace(record, put=replace(record.put, images=shared))


_decode_preview = msgspec.json.Decoder(_RecordPreview).decode
_decode_status = msgspec.json.Decoder(_Status).decode


def _preview(element: Raw) -> _RecordPreview | None:
    try:
        return _decode_preview(element)
    except (msgspec.DecodeError, RecursionError):
        return None


def _remarks(sent: Split, envelope: FileEnvelope, file: OffersFile, run: Run) -> Iterator[str]:
    yield from envelope_messages(sent, envelope.model_extra or {}, "not a member of an offers file")
    yield from ignored_members(envelope.header.model_extra or {}, "not a member of the header")
    if not _matches_file_date(envelope.header, file.dated):
        yield "header.fileCreationDate: differs from the date in the file name, which is used instead"
    if not begins_with_partner(file.name, run.partner):
        yield "name: does not start with the partner's name"
    # In the partner's time zone, the next day may have begun.
    if file.dated > run.accepted_at.date() + timedelta(days=1):
        yield "name: is dated in the future; from now on, files with an earlier date are refused"


def _matches_file_date(header: FileHeader, dated: date) -> bool:
    """Compares the dates. The header may use any separators; year, month and day must be in this order, zero-padded."""
    return re.sub(r"[^0-9]", "", header.fileCreationDate or "")[:8] == f"{dated:%Y%m%d}"
