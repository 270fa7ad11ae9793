"""Tests of the changes that an offers file makes. (The merchant document's daily file.)"""

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from domain.events import DeletionCause, OfferDeleted, OfferEvent
from domain.offers.content import digest
from domain.offers.images import Image
from domain.offers.offer import Offer
from domain.runs.file_reconciliation import (
    InvalidRecord,
    KnownOffers,
    OfferStatus,
    Record,
    ValidRecord,
    reconcile_file,
)
from domain.runs.plan import Plan
from domain.runs.run import ItemOutcome
from domain.single_requests.request import Put
from domain.values import MissingFromFile, OfferKey, Status
from tests.support import examples
from tests.support.examples import DELETED, PARTNER, RESUMED, sent_content
from tests.support.histories.single_requests import merchant_key, merchant_offer

CONTENT_KEPT = "offerStatus: NO-CHANGE, but the content differs; the stored content is kept"
DELETED_UNKNOWN = "offerStatus: DELETED, but the offer is unknown"
MISSING = "active, but missing from the file"
NO_IDS = "No missing offer has been deleted: a record of this file has no readable ids"
NOTHING_VALID = "No missing offer has been deleted: no record of this file is valid"
ONE, TWO, THREE = merchant_key("MO-1"), merchant_key("MO-2"), merchant_key("MO-1", "M-2")
A, B = (merchant_offer(ONE, name) for name in "ab")
NEW, UPDATED, UPSERT, NO_CHANGE = OfferStatus.NEW, OfferStatus.UPDATED, OfferStatus.UPSERT, OfferStatus.NO_CHANGE
ACTIVE, PAUSED, GONE = Status.ACTIVE, Status.PAUSED, Status.DELETED
REPORT, DELETE = MissingFromFile.REPORT, MissingFromFile.DELETE
FOR_BEING_MISSING = OfferDeleted(cause=DeletionCause.ABSENT_FROM_FILE)

Inventory = Mapping[OfferKey, Offer]

either = pytest.mark.parametrize("missing", list(MissingFromFile))
any_put = pytest.mark.parametrize("sent_status", [NEW, UPDATED, UPSERT, NO_CHANGE])


def known(name: str = "a", status: Status = ACTIVE, key: OfferKey = ONE, version: int = 1) -> Offer:
    return Offer(status, version, 1, digest(merchant_offer(key, name)))


def puts(sent_status: OfferStatus = UPSERT, name: str = "a", key: OfferKey = ONE, **more: Any) -> ValidRecord:
    """Returns a record with an offer; `more` are its images and warnings."""
    put = Put(sent_content(merchant_offer(key, name)), **more)
    return ValidRecord(key.merchant_id or "", key.external_id, sent_status, put)


def deletes(key: OfferKey = ONE) -> ValidRecord:
    return ValidRecord(key.merchant_id or "", key.external_id, OfferStatus.DELETED)


def broken(merchant_id: str | None = "M-1", external_id: str | None = "MO-1") -> InvalidRecord:
    return InvalidRecord(merchant_id, external_id, ("offerName: required",))


def when(
    records: list[Record],
    inventory: Inventory,
    missing: MissingFromFile = REPORT,
    changed_since: Sequence[OfferKey] = (),
) -> Plan:
    known: KnownOffers = {(str(k.merchant_id), k.external_id): o for k, o in inventory.items()}
    return reconcile_file(PARTNER, records, known, [key.offer_uid for key in changed_since], missing)


def events_of(plan: Plan) -> dict[OfferKey, list[OfferEvent]]:
    return {change.key: list(change.events) for change in plan.changes}


def item_outcomes(*messages: str, key: OfferKey = ONE) -> list[ItemOutcome]:
    return [ItemOutcome(key.external_id, messages, key.merchant_id)]


def as_upsert(sent_status: OfferStatus, known_as: str) -> str:
    return f"offerStatus: {sent_status}, but the offer is {known_as}; treated as UPSERT"


def test_records_use_the_words_of_the_merchant_document() -> None:
    assert list(OfferStatus) == ["NEW", "UPDATED", "UPSERT", "NO-CHANGE", "DELETED"]


# Records that agree with the ledger


@pytest.mark.parametrize("sent_status", [NEW, UPSERT])
def test_unknown_offer_is_created(sent_status: OfferStatus) -> None:
    plan = when([puts(sent_status)], {})
    assert events_of(plan) == {ONE: [examples.created(A, ONE)]}
    assert plan.outcome.created == item_outcomes()


@pytest.mark.parametrize("sent_status", [UPDATED, UPSERT, NO_CHANGE])
def test_offer_with_the_same_content_is_unchanged(sent_status: OfferStatus) -> None:
    plan = when([puts(sent_status)], {ONE: known()})
    assert plan.changes == []
    assert plan.outcome.unchanged == item_outcomes()


@pytest.mark.parametrize("sent_status", [UPDATED, UPSERT])
def test_offer_with_other_content_is_updated(sent_status: OfferStatus) -> None:
    plan = when([puts(sent_status, "b")], {ONE: known("a")})
    assert events_of(plan) == {ONE: [examples.updated(B)]}
    assert plan.outcome.updated == item_outcomes()


@pytest.mark.parametrize("status", [ACTIVE, PAUSED])
def test_deleting_record_deletes_a_known_offer(status: Status) -> None:
    plan = when([deletes()], {ONE: known(status=status)})
    assert events_of(plan) == {ONE: [DELETED]}
    assert plan.outcome.deleted == item_outcomes()


def test_deleting_record_keeps_a_deleted_offer() -> None:
    plan = when([deletes()], {ONE: known(status=GONE)})
    assert plan.changes == []
    assert plan.outcome.unchanged == item_outcomes()


@pytest.mark.parametrize("sent_status", [UPDATED, UPSERT])
@pytest.mark.parametrize("name", ["a", "b"])
def test_deleted_offer_is_restored(sent_status: OfferStatus, name: str) -> None:
    plan = when([puts(sent_status, name)], {ONE: known("a", GONE)})
    assert events_of(plan) == {ONE: [examples.restored(merchant_offer(ONE, name))]}
    assert plan.outcome.restored == item_outcomes()


@pytest.mark.parametrize("sent_status", [UPDATED, UPSERT])
def test_paused_offer_is_resumed(sent_status: OfferStatus) -> None:
    inventory = {ONE: known("a", PAUSED)}
    assert events_of(when([puts(sent_status)], inventory)) == {ONE: [RESUMED]}
    plan = when([puts(sent_status, "b")], inventory)
    assert events_of(plan) == {ONE: [RESUMED, examples.updated(B)]}
    assert plan.outcome.updated == item_outcomes()


# Records that contradict the ledger


@pytest.mark.parametrize("sent_status", [UPDATED, NO_CHANGE])
def test_unknown_offer_is_created_with_a_warning(sent_status: OfferStatus) -> None:
    plan = when([puts(sent_status)], {})
    assert events_of(plan) == {ONE: [examples.created(A, ONE)]}
    assert plan.outcome.created == item_outcomes(as_upsert(sent_status, "unknown"))


def test_new_record_updates_a_known_offer_with_a_warning() -> None:
    plan = when([puts(NEW, "b")], {ONE: known("a")})
    assert events_of(plan) == {ONE: [examples.updated(B)]}
    assert plan.outcome.updated == item_outcomes(as_upsert(NEW, "known"))


def test_new_record_with_same_content_is_unchanged_with_a_warning() -> None:
    plan = when([puts(NEW)], {ONE: known()})
    assert plan.changes == []
    assert plan.outcome.unchanged == item_outcomes(as_upsert(NEW, "known"))


@pytest.mark.parametrize(("sent_status", "known_as"), [(NEW, "known"), (NO_CHANGE, "deleted")])
@pytest.mark.parametrize("name", ["a", "b"])
def test_deleted_offer_is_restored_with_a_warning(sent_status: OfferStatus, known_as: str, name: str) -> None:
    plan = when([puts(sent_status, name)], {ONE: known("a", GONE)})
    assert events_of(plan) == {ONE: [examples.restored(merchant_offer(ONE, name))]}
    assert plan.outcome.restored == item_outcomes(as_upsert(sent_status, known_as))


@pytest.mark.parametrize("status", [ACTIVE, PAUSED])
def test_no_change_record_keeps_the_stored_content(status: Status) -> None:
    plan = when([puts(NO_CHANGE, "b")], {ONE: known("a", status)})
    assert plan.changes == []
    assert plan.outcome.unchanged == item_outcomes(CONTENT_KEPT)


def test_deleting_record_of_an_unknown_offer_has_a_warning() -> None:
    plan = when([deletes()], {})
    assert plan.changes == []
    assert plan.outcome.unknown == item_outcomes(DELETED_UNKNOWN)


@any_put
@pytest.mark.parametrize("inventory", [{}, {ONE: known("a")}, {ONE: known("b")}, {ONE: known("b", GONE)}])
def test_content_warnings_are_in_any_outcome(sent_status: OfferStatus, inventory: Inventory) -> None:
    outcome = when([puts(sent_status, warnings=("first", "second"))], inventory).outcome
    (item,) = (*outcome.created, *outcome.updated, *outcome.restored, *outcome.unchanged)
    assert item.messages[-2:] == ("first", "second")


# Stored versions and images


def test_change_has_the_version_of_the_known_offer() -> None:
    plan = when([puts(name="b"), puts(key=TWO)], {ONE: known("a", version=7)})
    assert {change.key: change.version for change in plan.changes} == {ONE: 7, TWO: 0}


@any_put
def test_images_belong_only_to_applied_changes(sent_status: OfferStatus) -> None:
    images = (Image("00", b'"..."'),)
    (change,) = when([puts(sent_status, images=images)], {}).changes
    assert change.images == images
    assert when([puts(sent_status, images=images)], {ONE: known()}).changes == []


# Failed records


@either
def test_invalid_record_fails_and_the_others_apply(missing: MissingFromFile) -> None:
    plan = when([broken(), puts(name="b", key=TWO)], {ONE: known(), TWO: known(key=TWO)}, missing)
    assert events_of(plan) == {TWO: [examples.updated(merchant_offer(TWO, "b"))]}
    assert plan.outcome.failed == item_outcomes("offerName: required")
    assert (plan.outcome.deleted, plan.outcome.discrepancy) == ([], [])


@either
@pytest.mark.parametrize(
    "copies",
    [
        [puts(), puts()],
        [puts(name="b"), puts(name="c")],
        [puts(NEW), deletes()],
        [deletes(), deletes()],
        [deletes(), puts(NO_CHANGE), puts(UPDATED, "c")],
    ],
)
def test_records_with_the_same_ids_all_fail(copies: list[Record], missing: MissingFromFile) -> None:
    plan = when([*copies, puts(key=TWO)], {ONE: known()}, missing)
    assert list(events_of(plan)) == [TWO]
    message = f"merchantId, offerId: occurs {len(copies)} times in this file"
    assert plan.outcome.failed == item_outcomes(message) * len(copies)
    assert (plan.outcome.deleted, plan.outcome.discrepancy) == ([], [])


@pytest.mark.parametrize("valid", [puts(name="b"), deletes()])
def test_valid_record_fails_beside_an_invalid_one_with_its_ids(valid: Record) -> None:
    plan = when([broken(), valid], {ONE: known()}, DELETE)
    assert plan.changes == []
    assert plan.outcome.failed == item_outcomes("offerName: required") + item_outcomes(
        "merchantId, offerId: occurs 2 times in this file"
    )


def test_offers_of_two_merchants_can_have_the_same_id() -> None:
    plan = when([puts(key=ONE), puts(key=TWO), puts(key=THREE)], {})
    assert set(events_of(plan)) == {ONE, TWO, THREE}
    assert len({change.key.offer_uid for change in plan.changes}) == 3


# Missing offers


def test_missing_active_offers_are_reported() -> None:
    plan = when([puts(key=TWO)], {ONE: known(), TWO: known(key=TWO), THREE: known(key=THREE)})
    assert plan.changes == []
    assert plan.outcome.discrepancy == item_outcomes(MISSING, key=ONE) + item_outcomes(MISSING, key=THREE)


def test_missing_active_offers_are_deleted_if_the_setting_says_so() -> None:
    plan = when([puts(key=TWO)], {ONE: known(version=4), TWO: known(key=TWO)}, DELETE)
    assert [(change.key, change.version, change.events) for change in plan.changes] == [(ONE, 4, [FOR_BEING_MISSING])]
    assert plan.outcome.deleted == item_outcomes(MISSING)
    assert (plan.outcome.discrepancy, plan.outcome.messages) == ([], [])


def test_missing_offer_that_a_request_changed_since_is_reported() -> None:
    plan = when([puts(key=TWO)], {ONE: known(), TWO: known(key=TWO), THREE: known(key=THREE)}, DELETE, [ONE])
    assert events_of(plan) == {THREE: [FOR_BEING_MISSING]}
    assert plan.outcome.deleted == item_outcomes(MISSING, key=THREE)
    assert plan.outcome.discrepancy == item_outcomes(MISSING, key=ONE)


def test_deletions_by_record_come_first_and_have_no_cause() -> None:
    plan = when([deletes(TWO)], {ONE: known(), TWO: known(key=TWO)}, DELETE)
    assert events_of(plan) == {TWO: [DELETED], ONE: [FOR_BEING_MISSING]}
    assert plan.outcome.deleted == item_outcomes(key=TWO) + item_outcomes(MISSING, key=ONE)


@either
@pytest.mark.parametrize("status", [PAUSED, GONE])
def test_offer_that_is_not_active_can_not_be_missing(status: Status, missing: MissingFromFile) -> None:
    plan = when([puts(key=TWO)], {ONE: known(status=status), TWO: known(key=TWO)}, missing)
    assert plan.changes == []
    assert (plan.outcome.deleted, plan.outcome.discrepancy) == ([], [])


@pytest.mark.parametrize("ids", [(None, None), (None, "MO-1"), ("M-1", None)])
def test_missing_offers_are_kept_if_a_record_has_unreadable_ids(
    ids: tuple[str | None, str | None],
) -> None:
    records: list[Record] = [puts(name="b", key=TWO), deletes(THREE), broken(*ids)]
    plan = when(records, {ONE: known(), TWO: known(key=TWO), THREE: known(key=THREE)}, DELETE)
    assert events_of(plan) == {TWO: [examples.updated(merchant_offer(TWO, "b"))], THREE: [DELETED]}
    assert plan.outcome.messages == [NO_IDS]
    assert plan.outcome.discrepancy == item_outcomes(MISSING)


@pytest.mark.parametrize("records", [[], [broken()], [puts(), puts()], [broken(), broken()]])
def test_missing_offers_are_kept_if_no_record_is_valid(records: Sequence[Record]) -> None:
    plan = when([*records], {ONE: known(), TWO: known(key=TWO)}, DELETE)
    assert plan.changes == []
    assert plan.outcome.messages == [NOTHING_VALID]
    assert item_outcomes(MISSING, key=TWO)[0] in plan.outcome.discrepancy


@pytest.mark.parametrize("records", [[], [broken()], [broken(None, None)], [broken("M-1", None)]])
def test_report_setting_adds_no_message_about_deletion(records: Sequence[Record]) -> None:
    plan = when([*records], {ONE: known(), TWO: known(key=TWO)})
    assert plan.outcome.messages == []
    assert item_outcomes(MISSING, key=TWO)[0] in plan.outcome.discrepancy
