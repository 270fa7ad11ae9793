"""What does an offers file change? (The merchant document's daily dump of all offers.)

Each record says by its `offerStatus` what its partner believes; where the ledger knows better, the record is carried out
as far as it makes sense, with a warning. Active offers that no record names are told of, or deleted, as is set for the
partner. A record that fails still counts as present, so that a mistake never takes an offer down.
"""

import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import date
from enum import StrEnum
from uuid import UUID

from msgspec import Struct

from domain.events import DeletionCause
from domain.offers import offer as offers
from domain.offers.offer import ABSENT, Offer
from domain.refusals import FileSuperseded
from domain.runs.plan import OfferChange, Plan
from domain.runs.run import ItemOutcome, Outcome
from domain.single_requests.request import Delete, Put, decide
from domain.values import Channel, MissingFromFile, OfferKey, Status

CONTENT_KEPT = "offerStatus: NO-CHANGE, but the content differs; the stored content is kept"
DELETED_UNKNOWN = "offerStatus: DELETED, but the offer is unknown"
MISSING = "active, but missing from the file"
NO_IDS = "No offer has been deleted for being missing: a record of this file has no readable ids"
NOTHING_VALID = "No offer has been deleted for being missing: no record of this file is in order"


class OfferStatus(StrEnum):
    """What a record says that has become of its offer."""

    NEW = "NEW"
    UPDATED = "UPDATED"
    UPSERT = "UPSERT"
    NO_CHANGE = "NO-CHANGE"
    DELETED = "DELETED"


class ValidRecord(Struct, frozen=True, gc=False):
    """A record of the file that keeps every rule; without `put` it only names its offer, to be deleted."""

    merchant_id: str
    external_id: str
    offer_status: OfferStatus
    put: Put | None = None


class InvalidRecord(Struct, frozen=True, gc=False):
    """A record that breaks a rule; the ids are None where they could not be read."""

    merchant_id: str | None
    external_id: str | None
    messages: tuple[str, ...]


Record = ValidRecord | InvalidRecord
RecordId = tuple[str | None, str | None]
"""merchantId and externalId of a record, as far as they could be read."""
KnownOffers = Mapping[tuple[str, str], Offer]


class FileName(Struct, frozen=True):
    """`<Partner>OffersCCYYMMDD.json`, taken apart."""

    partner: str
    dated: date


def parse_file_name(name: str) -> FileName | None:
    """None for a file that is not named like that."""
    found = _NAME.fullmatch(name)
    try:
        return FileName(found["partner"], date.fromisoformat(found["dated"])) if found else None
    except ValueError:
        return None


# A name that is not UTF-8 reaches a program with lone surrogates in it, and could not be stored.
_NAME = re.compile(r"(?P<partner>[^/\\\0-\x1f\x7f\ud800-\udfff]{1,100})Offers(?P<dated>[0-9]{8})\.json")


def require_file_order(dated: date, newest: date | None) -> None:
    """`newest`: the date of the latest file that has been processed. Raises FileSuperseded."""
    if newest and dated < newest:
        raise FileSuperseded(dated, newest)


def reconcile_file(
    partner: str,
    records: Sequence[Record],
    known: KnownOffers,
    changed_since: Collection[UUID],
    missing: MissingFromFile,
) -> Plan:
    """`known`: all of the partner's offers on the merchant channel, by merchantId and externalId; `changed_since`: the
    offerUids of those that single requests have changed since the file was accepted, which are not deleted for being missing."""
    plan = Plan(changes=[], outcome=Outcome())
    copies = Counter(_id(record) for record in records)
    for record in records:
        count = copies[_id(record)]
        if isinstance(record, InvalidRecord):
            plan.outcome.failed.append(ItemOutcome(record.external_id, record.messages, record.merchant_id))
        elif count > 1:
            told = (f"merchantId, offerId: given {count} times in this file",)
            plan.outcome.failed.append(ItemOutcome(record.external_id, told, record.merchant_id))
        else:
            _place(plan, partner, record, known.get((record.merchant_id, record.external_id), ABSENT))
    _place_missing(plan, partner, known, changed_since, copies, missing)
    return plan


def _id(record: Record) -> RecordId:
    return record.merchant_id, record.external_id


def _place(plan: Plan, partner: str, record: ValidRecord, offer: Offer) -> None:
    outcome, put = plan.outcome, record.put
    messages = tuple(_doubts(record, offer))
    if CONTENT_KEPT in messages:
        outcome.unchanged.append(ItemOutcome(record.external_id, messages, record.merchant_id))
        return
    key = _key(partner, record.merchant_id, record.external_id)
    events, told = decide(offer, key, put or Delete())
    if events:
        plan.changes.append(OfferChange(key, offer.version, events, put.images if put else ()))
    outcome.add(told, ItemOutcome(record.external_id, messages, record.merchant_id))


def _doubts(record: ValidRecord, offer: Offer) -> Iterator[str]:
    """Where the record does not go with what the ledger knows, and what is odd about its content."""
    match record.offer_status, offer.status:
        case OfferStatus.DELETED, Status.ABSENT:
            yield DELETED_UNKNOWN
        case (OfferStatus.UPDATED | OfferStatus.NO_CHANGE) as told, Status.ABSENT:
            yield f"offerStatus: {told}, but the offer is unknown; treated as UPSERT"
        case OfferStatus.NO_CHANGE, Status.DELETED:
            yield "offerStatus: NO-CHANGE, but the offer is deleted; treated as UPSERT"
        case OfferStatus.NO_CHANGE, _ if record.put and record.put.content.digest != offer.content_digest:
            yield CONTENT_KEPT
        case OfferStatus.NEW, Status.ACTIVE | Status.PAUSED | Status.DELETED:
            yield "offerStatus: NEW, but the offer is known; treated as UPSERT"
        case _:
            pass
    if record.put:
        yield from record.put.warnings


def _place_missing(
    plan: Plan,
    partner: str,
    known: KnownOffers,
    changed_since: Collection[UUID],
    present: Mapping[RecordId, int],
    missing: MissingFromFile,
) -> None:
    outcome = plan.outcome
    if missing is MissingFromFile.DELETE and (why_not := _why_not_delete(plan, present)):
        outcome.messages.append(why_not)
        missing = MissingFromFile.REPORT
    for (merchant_id, external_id), offer in known.items():
        if offer.status is not Status.ACTIVE or (merchant_id, external_id) in present:
            continue
        told = ItemOutcome(external_id, (MISSING,), merchant_id)
        key = _key(partner, merchant_id, external_id)
        if missing is MissingFromFile.REPORT or key.offer_uid in changed_since:
            outcome.discrepancy.append(told)
        else:
            plan.changes.append(OfferChange(key, offer.version, offers.delete(offer, DeletionCause.ABSENT_FROM_FILE)))
            outcome.deleted.append(told)


def _why_not_delete(plan: Plan, present: Mapping[RecordId, int]) -> str | None:
    """A file that says nothing, or nothing that can be understood, does not take everything down."""
    if any(None in named for named in present):
        return NO_IDS
    return NOTHING_VALID if plan.outcome.counts.nothing_valid else None


def _key(partner: str, merchant_id: str, external_id: str) -> OfferKey:
    return OfferKey(partner, Channel.MERCHANT, merchant_id, external_id)
