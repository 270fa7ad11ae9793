"""Computes the changes that an offers file makes. (The merchant document's daily dump of all offers.)

The `offerStatus` of each record is the change in the partner's view. If it contradicts the ledger, the record is
applied as far as possible, with a warning. Active offers that no record names are reported or deleted, depending on
the partner's setting.
A failed record still counts as present, so that a mistake never deletes an offer.
"""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from enum import StrEnum
from uuid import UUID

from msgspec import Struct

from domain.events import DeletionCause
from domain.offers import offer as offers
from domain.offers.offer import ABSENT, Offer
from domain.runs.plan import OfferChange, Plan
from domain.runs.run import ItemOutcome, Outcome
from domain.single_requests.request import Delete, Put, decide
from domain.values import Channel, MissingFromFile, OfferKey, Status

CONTENT_KEPT = "offerStatus: NO-CHANGE, but the content differs; the stored content is kept"
DELETED_UNKNOWN = "offerStatus: DELETED, but the offer is unknown"
MISSING = "active, but missing from the file"
NO_IDS = "No missing offer has been deleted: a record of this file has no readable ids"
NOTHING_VALID = "No missing offer has been deleted: no record of this file is valid"


class OfferStatus(StrEnum):
    """Change of an offer as reported by a record."""

    NEW = "NEW"
    UPDATED = "UPDATED"
    UPSERT = "UPSERT"
    NO_CHANGE = "NO-CHANGE"
    DELETED = "DELETED"


class ValidRecord(Struct, frozen=True, gc=False):
    """A valid record of the file. `put` is None if the record only names an offer to delete."""

    merchant_id: str
    external_id: str
    offer_status: OfferStatus
    put: Put | None = None


class InvalidRecord(Struct, frozen=True, gc=False):
    """An invalid record. Ids that could not be read are None."""

    merchant_id: str | None
    external_id: str | None
    messages: tuple[str, ...]


Record = ValidRecord | InvalidRecord
RecordId = tuple[str | None, str | None]
"""merchantId and externalId of a record; None if they could not be read."""
KnownOffers = Mapping[tuple[str, str], Offer]


def reconcile_file(
    partner: str,
    records: Sequence[Record],
    known: KnownOffers,
    changed_since: Collection[UUID],
    missing: MissingFromFile,
) -> Plan:
    """Returns the changes and the outcome of an offers file.

    `known`: all of the partner's offers on the merchant channel, by merchantId and externalId. `changed_since`: the
    offerUids that single requests have changed since the file was accepted; missing ones among them are not deleted."""
    plan = Plan(changes=[], outcome=Outcome())
    copies = Counter(_id(record) for record in records)
    for record in records:
        count = copies[_id(record)]
        if isinstance(record, InvalidRecord):
            plan.outcome.failed.append(ItemOutcome(record.external_id, record.messages, record.merchant_id))
        elif count > 1:
            messages = (f"merchantId, offerId: occurs {count} times in this file",)
            plan.outcome.failed.append(ItemOutcome(record.external_id, messages, record.merchant_id))
        else:
            _place(plan, partner, record, known.get((record.merchant_id, record.external_id), ABSENT))
    _place_missing(plan, partner, known, changed_since, copies, missing)
    return plan


def _id(record: Record) -> RecordId:
    return record.merchant_id, record.external_id


def _place(plan: Plan, partner: str, record: ValidRecord, offer: Offer) -> None:
    outcome, put = plan.outcome, record.put
    messages = tuple(_warnings(record, offer))
    if CONTENT_KEPT in messages:
        outcome.unchanged.append(ItemOutcome(record.external_id, messages, record.merchant_id))
        return
    key = _key(partner, record.merchant_id, record.external_id)
    events, trace_outcome = decide(offer, key, put or Delete())
    if events:
        plan.changes.append(OfferChange(key, offer.version, events, put.images if put else ()))
    outcome.add(trace_outcome, ItemOutcome(record.external_id, messages, record.merchant_id))


def _warnings(record: ValidRecord, offer: Offer) -> Iterator[str]:
    """Returns where the record contradicts the ledger, and the warnings about its content."""
    match record.offer_status, offer.status:
        case OfferStatus.DELETED, Status.ABSENT:
            yield DELETED_UNKNOWN
        case (OfferStatus.UPDATED | OfferStatus.NO_CHANGE) as sent_status, Status.ABSENT:
            yield f"offerStatus: {sent_status}, but the offer is unknown; treated as UPSERT"
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
    if missing is MissingFromFile.DELETE and (message := _deletion_obstacle(plan, present)):
        outcome.messages.append(message)
        missing = MissingFromFile.REPORT
    for (merchant_id, external_id), offer in known.items():
        if offer.status is not Status.ACTIVE or (merchant_id, external_id) in present:
            continue
        item = ItemOutcome(external_id, (MISSING,), merchant_id)
        key = _key(partner, merchant_id, external_id)
        if missing is MissingFromFile.REPORT or key.offer_uid in changed_since:
            outcome.discrepancy.append(item)
        else:
            plan.changes.append(OfferChange(key, offer.version, offers.delete(offer, DeletionCause.ABSENT_FROM_FILE)))
            outcome.deleted.append(item)


def _deletion_obstacle(plan: Plan, present: Mapping[RecordId, int]) -> str | None:
    """Returns the reason why the file must not delete missing offers: unreadable ids, or no valid record."""
    if any(None in record_id for record_id in present):
        return NO_IDS
    return NOTHING_VALID if plan.outcome.counts.nothing_valid else None


def _key(partner: str, merchant_id: str, external_id: str) -> OfferKey:
    return OfferKey(partner, Channel.MERCHANT, merchant_id, external_id)
