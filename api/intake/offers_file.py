"""What does a partner say with this offers file? The same by HTTP, by the command line and in a drop folder."""

import hashlib
import re
import sys
from collections.abc import Iterator
from datetime import date, timedelta

import msgspec
from msgspec import Raw, Struct
from msgspec.structs import replace

from api.http.problems import validation_error
from api.intake.merchant_offer import put_of, too_large_images
from api.intake.merchant_schemas import warnings
from api.intake.offers_file_schemas import DeletedRecord, FileEnvelope, FileHeader, FileRecord
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
from api.parsing.strict_json import Element
from api.validation.field_errors import InvalidField
from domain.offers.content import digest
from domain.offers.images import Image
from domain.runs.file_reconciliation import (
    InvalidRecord,
    KnownOffers,
    OfferStatus,
    Record,
    ValidRecord,
    parse_file_name,
)
from domain.runs.run import OffersFile, Run
from domain.values import ProgressCallback, no_progress

STATUS = "offerStatus"
WRONG_NAME = "must be <Partner>OffersCCYYMMDD.json, with a day of the calendar"


class ValidatedFile(Struct, frozen=True):
    """An offers file record by record, and what is to be said of the whole."""

    records: list[Record]
    remarks: list[str]
    brings_images: bool


class _RecordPreview(Struct, frozen=True, gc=False, rename="camel"):
    """What can be told of a record without looking into it; only to be believed if the record is in order."""

    merchant_id: str
    offer_id: str


class _Status(Struct, frozen=True, gc=False, rename="camel"):
    offer_status: str = ""


def read_file(name: str, body: Body, max_items: int) -> OffersFile:
    """The file's name and its envelope; raises Problem if they are not in order, or the body is not JSON."""
    count, envelope = count_elements(body, max_items, FileEnvelope)
    parts = parse_file_name(name)
    if parts is None:
        raise validation_error([InvalidField(("name",), WRONG_NAME)])
    if count != envelope.header.offerRecordCount:
        place = ("header", "offerRecordCount")
        raise validation_error([InvalidField(place, f"is not the number of records: there are {count}")])
    return OffersFile(name, parts.dated)


def validate_records(
    body: Body,
    file: OffersFile,
    run: Run,
    known: KnownOffers,
    max_image_bytes: int,
    watch: ProgressCallback = no_progress,
) -> ValidatedFile:
    """Judges every record of a body that read_file has found in order; raises Problem if it is not.

    `known`: the partner's merchant offers; a record that brought what one of them says, letter by letter, need not be
    looked into."""
    sent = split_body(body, sys.maxsize)
    envelope = read_envelope(sent.members, FileEnvelope)
    images: dict[str, Image] = {}
    records = [
        _sharing(validate_record(element, index, known, max_image_bytes), images)
        for index, element in with_progress(sent.elements, watch)
    ]
    return ValidatedFile(records, list(_remarks(envelope, file, run)), bool(images))


def validate_record(element: Raw, index: int, known: KnownOffers, max_image_bytes: int) -> Record:
    """One element of `offers` as a record: valid, or with what is wrong with it."""
    head, stated = _head(element), _find_status(element)
    sent_digest = _digest_beside(element, stated) if stated else None
    if head and stated and (offer := known.get((head.merchant_id, head.offer_id))) and offer.sent_digest == sent_digest:
        put = put_of(_text(element), offer.content_digest, sent_digest)
        return ValidRecord(head.merchant_id, head.offer_id, OfferStatus(stated[1].decode()), put)
    read = read_object(element)
    if isinstance(read, str):
        merchant_id, external_id = (valid_id(head.merchant_id), valid_id(head.offer_id)) if head else (None, None)
        named = merchant_id and external_id
        return InvalidRecord(merchant_id, external_id, (read if named else f"{LIST}[{index}]: {read}",))
    sent = read.value
    merchant_id, external_id = valid_id(sent.get("merchantId")), valid_id(sent.get("offerId"))
    if broken := _broken_rules(read, max_image_bytes):
        at = () if merchant_id and external_id else (LIST, index)
        return InvalidRecord(merchant_id, external_id, item_messages(broken, at))
    if merchant_id is None or external_id is None:
        raise AssertionError("a record without readable ids breaks a rule")
    status = OfferStatus(sent.pop(STATUS))
    if status is OfferStatus.DELETED:
        return ValidRecord(merchant_id, external_id, status)
    warned = warnings(sent)
    # What has to be warned of can't be known again by its bytes alone.
    known_by = sent_digest if stated and not warned and _is_the_status(element, stated) else None
    put = put_of(_text(element), digest(sent, bytes(element)), known_by, warned)
    return ValidRecord(merchant_id, external_id, status, put)


def _digest_beside(element: Raw, stated: re.Match[bytes]) -> str:
    """SHA-256 of a record without its status, which changes from day to day, but with the gap in that place."""
    text = memoryview(element)
    sha256 = hashlib.sha256(text[: stated.start(1)])
    sha256.update(b"\0")  # it is nowhere in JSON
    sha256.update(text[stated.end(1) :])
    return sha256.hexdigest()


def _is_the_status(element: Raw, stated: re.Match[bytes]) -> bool:
    """Whether it is the status of the record that was found, and not what is called so further inside: then it is the
    status of every record that is the same around that gap."""
    text = bytes(element)
    return _decode_status(b"%b?%b" % (text[: stated.start(1)], text[stated.end(1) :])).offer_status == "?"


# A status that leaves its offer there, wherever it stands.
_find_status = re.compile(rb'"offerStatus"[ \t\n\r]*:[ \t\n\r]*"(NEW|UPDATED|UPSERT|NO-CHANGE)"').search


def _broken_rules(read: Element, max_image_bytes: int) -> list[InvalidField]:
    """For a record that is an object."""
    sent = read.value
    if sent.get(STATUS) == OfferStatus.DELETED:
        # What else it says is of no consequence, so it can't keep an offer from being taken down.
        return [flaw for flaw in read.invalid_values if flaw.place[:1] in _TAKES_DOWN] or schema_errors(
            sent, DeletedRecord
        )
    return read.invalid_values or schema_errors(sent, FileRecord) or too_large_images(sent, max_image_bytes)


_TAKES_DOWN = {(name,) for name in DeletedRecord.model_fields}


def _sharing(record: Record, images: dict[str, Image]) -> Record:
    """The record with images that others show too held in memory once."""
    if isinstance(record, InvalidRecord) or record.put is None or not record.put.images:
        return record
    shared = tuple(images.setdefault(image.digest, image) for image in record.put.images)
    return replace(record, put=replace(record.put, images=shared))


_decode_head = msgspec.json.Decoder(_RecordPreview).decode
_decode_status = msgspec.json.Decoder(_Status).decode
_decode_members = msgspec.json.Decoder(dict[str, Raw]).decode


def _head(element: Raw) -> _RecordPreview | None:
    try:
        return _decode_head(element)
    except (msgspec.DecodeError, RecursionError):
        return None


def _text(element: Raw) -> bytes:
    """The record as the body of a PUT would have it: all members as they were sent, but the status."""
    members = _decode_members(element)
    del members[STATUS]
    return msgspec.json.encode(members)


def _remarks(envelope: FileEnvelope, file: OffersFile, run: Run) -> Iterator[str]:
    yield from ignored_members(envelope.model_extra or {}, "not a member of an offers file")
    yield from ignored_members(envelope.header.model_extra or {}, "not a member of the header")
    if not _is_dated(envelope.header, file.dated):
        yield "header.fileCreationDate: is not the date in the file's name, which is the one that counts"
    if _letters(file.name.rpartition("Offers")[0]) != _letters(run.partner):
        yield "name: does not begin with the name of the partner"
    # Where the partner is, it may be tomorrow already.
    if file.dated > run.accepted_at.date() + timedelta(days=1):
        yield "name: is dated ahead; from now on it keeps out all files of earlier days"


def _is_dated(header: FileHeader, dated: date) -> bool:
    """However the date is written, as long as year, month and day come in this order, with all their digits."""
    return re.sub(r"[^0-9]", "", header.fileCreationDate or "")[:8] == f"{dated:%Y%m%d}"


def _letters(name: str) -> str:
    """A partner's name may be spelt with signs that a file's name does not have."""
    return "".join(filter(str.isalnum, name)).casefold()
