"""Given an inventory, when an offers file arrives, then this plan. (The merchant document's daily file.)"""

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from domain.events import DeletionCause, OfferDeleted, OfferEvent
from domain.offers.content import digest
from domain.offers.images import Image
from domain.offers.offer import Offer
from domain.runs.file_reconciliation import (
    CONTENT_KEPT,
    DELETED_UNKNOWN,
    MISSING,
    NO_IDS,
    NOTHING_VALID,
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

ONE, TWO, THREE = merchant_key("MO-1"), merchant_key("MO-2"), merchant_key("MO-1", "M-2")
A, B = (merchant_offer(ONE, name) for name in "ab")
NEW, UPDATED, UPSERT, NO_CHANGE = OfferStatus.NEW, OfferStatus.UPDATED, OfferStatus.UPSERT, OfferStatus.NO_CHANGE
ACTIVE, PAUSED, GONE = Status.ACTIVE, Status.PAUSED, Status.DELETED
REPORT, DELETE = MissingFromFile.REPORT, MissingFromFile.DELETE
FOR_BEING_MISSING = OfferDeleted(cause=DeletionCause.ABSENT_FROM_FILE)

Inventory = Mapping[OfferKey, Offer]

either = pytest.mark.parametrize("missing", list(MissingFromFile))
any_put = pytest.mark.parametrize("said", [NEW, UPDATED, UPSERT, NO_CHANGE])


def known(name: str = "a", status: Status = ACTIVE, key: OfferKey = ONE, version: int = 1) -> Offer:
    return Offer(status, version, 1, digest(merchant_offer(key, name)))


def puts(said: OfferStatus = UPSERT, name: str = "a", key: OfferKey = ONE, **more: Any) -> ValidRecord:
    """A record with an offer; `more` are its images and what is odd about it."""
    put = Put(sent_content(merchant_offer(key, name)), **more)
    return ValidRecord(key.merchant_id or "", key.external_id, said, put)


def takes_down(key: OfferKey = ONE) -> ValidRecord:
    return ValidRecord(key.merchant_id or "", key.external_id, OfferStatus.DELETED)


def broken(merchant_id: str | None = "M-1", external_id: str | None = "MO-1") -> InvalidRecord:
    return InvalidRecord(merchant_id, external_id, ("offerName: required",))


def when(records: list[Record], inventory: Inventory, missing: MissingFromFile = REPORT) -> Plan:
    known: KnownOffers = {(str(k.merchant_id), k.external_id): o for k, o in inventory.items()}
    return reconcile_file(PARTNER, records, known, (), missing)


def events_of(plan: Plan) -> dict[OfferKey, list[OfferEvent]]:
    return {change.key: change.events for change in plan.changes}


def told(*messages: str, key: OfferKey = ONE) -> list[ItemOutcome]:
    return [ItemOutcome(key.external_id, messages, key.merchant_id)]


def as_upsert(said: OfferStatus, stands: str) -> str:
    return f"offerStatus: {said}, but the offer is {stands}; treated as UPSERT"


# What the partner believes is so


@pytest.mark.parametrize("said", [NEW, UPSERT])
def test_an_unknown_offer_is_created(said: OfferStatus) -> None:
    plan = when([puts(said)], {})
    assert events_of(plan) == {ONE: [examples.created(A, ONE)]}
    assert plan.outcome.created == told()


@pytest.mark.parametrize("said", [UPDATED, UPSERT, NO_CHANGE])
def test_a_known_offer_with_the_same_content_stays_as_it_is(said: OfferStatus) -> None:
    plan = when([puts(said)], {ONE: known()})
    assert plan.changes == []
    assert plan.outcome.unchanged == told()


@pytest.mark.parametrize("said", [UPDATED, UPSERT])
def test_a_known_offer_with_other_content_is_replaced(said: OfferStatus) -> None:
    plan = when([puts(said, "b")], {ONE: known("a")})
    assert events_of(plan) == {ONE: [examples.updated(B)]}
    assert plan.outcome.updated == told()


@pytest.mark.parametrize("status", [ACTIVE, PAUSED])
def test_a_known_offer_is_deleted(status: Status) -> None:
    plan = when([takes_down()], {ONE: known(status=status)})
    assert events_of(plan) == {ONE: [DELETED]}
    assert plan.outcome.deleted == told()


def test_an_offer_that_is_deleted_already_stays_as_it_is() -> None:
    plan = when([takes_down()], {ONE: known(status=GONE)})
    assert plan.changes == []
    assert plan.outcome.unchanged == told()


@pytest.mark.parametrize("said", [UPDATED, UPSERT])
@pytest.mark.parametrize("name", ["a", "b"])
def test_a_deleted_offer_that_is_sent_is_restored(said: OfferStatus, name: str) -> None:
    plan = when([puts(said, name)], {ONE: known("a", GONE)})
    assert events_of(plan) == {ONE: [examples.restored(merchant_offer(ONE, name))]}
    assert plan.outcome.restored == told()


@pytest.mark.parametrize("said", [UPDATED, UPSERT])
def test_a_paused_offer_that_is_sent_is_resumed(said: OfferStatus) -> None:
    inventory = {ONE: known("a", PAUSED)}
    assert events_of(when([puts(said)], inventory)) == {ONE: [RESUMED]}
    plan = when([puts(said, "b")], inventory)
    assert events_of(plan) == {ONE: [RESUMED, examples.updated(B)]}
    assert plan.outcome.updated == told()


# What the partner believes is not so


@pytest.mark.parametrize("said", [UPDATED, NO_CHANGE])
def test_what_should_be_known_and_is_not_is_created_with_a_warning(said: OfferStatus) -> None:
    plan = when([puts(said)], {})
    assert events_of(plan) == {ONE: [examples.created(A, ONE)]}
    assert plan.outcome.created == told(as_upsert(said, "unknown"))


def test_what_should_be_new_and_is_known_is_replaced_with_a_warning() -> None:
    plan = when([puts(NEW, "b")], {ONE: known("a")})
    assert events_of(plan) == {ONE: [examples.updated(B)]}
    assert plan.outcome.updated == told(as_upsert(NEW, "known"))


def test_what_should_be_new_and_is_known_as_it_is_stays_so_with_a_warning() -> None:
    plan = when([puts(NEW)], {ONE: known()})
    assert plan.changes == []
    assert plan.outcome.unchanged == told(as_upsert(NEW, "known"))


@pytest.mark.parametrize(("said", "stands"), [(NEW, "known"), (NO_CHANGE, "deleted")])
@pytest.mark.parametrize("name", ["a", "b"])
def test_a_deleted_offer_that_should_not_be_one_is_restored_with_a_warning(
    said: OfferStatus, stands: str, name: str
) -> None:
    plan = when([puts(said, name)], {ONE: known("a", GONE)})
    assert events_of(plan) == {ONE: [examples.restored(merchant_offer(ONE, name))]}
    assert plan.outcome.restored == told(as_upsert(said, stands))


@pytest.mark.parametrize("status", [ACTIVE, PAUSED])
def test_the_stored_content_is_kept_where_nothing_should_have_changed(status: Status) -> None:
    plan = when([puts(NO_CHANGE, "b")], {ONE: known("a", status)})
    assert plan.changes == []
    assert plan.outcome.unchanged == told(CONTENT_KEPT)


def test_deleting_an_unknown_offer_is_warned_of() -> None:
    plan = when([takes_down()], {})
    assert plan.changes == []
    assert plan.outcome.unknown == told(DELETED_UNKNOWN)


@any_put
@pytest.mark.parametrize("inventory", [{}, {ONE: known("a")}, {ONE: known("b")}, {ONE: known("b", GONE)}])
def test_what_is_odd_about_a_content_is_told_whatever_becomes_of_it(said: OfferStatus, inventory: Inventory) -> None:
    outcome = when([puts(said, warnings=("odd", "odder"))], inventory).outcome
    (item,) = (*outcome.created, *outcome.updated, *outcome.restored, *outcome.unchanged)
    assert item.messages[-2:] == ("odd", "odder")


# What is stored of it


def test_a_change_follows_the_version_that_it_was_decided_from() -> None:
    plan = when([puts(name="b"), puts(key=TWO)], {ONE: known("a", version=7)})
    assert {change.key: change.version for change in plan.changes} == {ONE: 7, TWO: 0}


@any_put
def test_images_are_stored_with_what_is_applied_only(said: OfferStatus) -> None:
    images = (Image("00", b'"..."'),)
    (change,) = when([puts(said, images=images)], {}).changes
    assert change.images == images
    assert when([puts(said, images=images)], {ONE: known()}).changes == []


# Records that fail


@either
def test_an_invalid_record_is_passed_over_and_the_others_apply(missing: MissingFromFile) -> None:
    plan = when([broken(), puts(name="b", key=TWO)], {ONE: known(), TWO: known(key=TWO)}, missing)
    assert events_of(plan) == {TWO: [examples.updated(merchant_offer(TWO, "b"))]}
    assert plan.outcome.failed == told("offerName: required")
    assert (plan.outcome.deleted, plan.outcome.discrepancy) == ([], [])


@either
@pytest.mark.parametrize(
    "copies",
    [
        [puts(), puts()],
        [puts(name="b"), puts(name="c")],
        [puts(NEW), takes_down()],
        [takes_down(), takes_down()],
        [takes_down(), puts(NO_CHANGE), puts(UPDATED, "c")],
    ],
)
def test_an_offer_that_is_named_more_than_once_is_refused_each_time(
    copies: list[Record], missing: MissingFromFile
) -> None:
    plan = when([*copies, puts(key=TWO)], {ONE: known()}, missing)
    assert list(events_of(plan)) == [TWO]
    message = f"merchantId, offerId: given {len(copies)} times in this file"
    assert plan.outcome.failed == told(message) * len(copies)
    assert (plan.outcome.deleted, plan.outcome.discrepancy) == ([], [])


@pytest.mark.parametrize("valid", [puts(name="b"), takes_down()])
def test_a_record_can_not_be_believed_beside_an_invalid_one_of_its_offer(valid: Record) -> None:
    plan = when([broken(), valid], {ONE: known()}, DELETE)
    assert plan.changes == []
    assert plan.outcome.failed == told("offerName: required") + told("merchantId, offerId: given 2 times in this file")


def test_offers_of_two_merchants_are_two_offers_whatever_their_ids() -> None:
    plan = when([puts(key=ONE), puts(key=TWO), puts(key=THREE)], {})
    assert set(events_of(plan)) == {ONE, TWO, THREE}
    assert len({change.key.offer_uid for change in plan.changes}) == 3


# Offers that no record names


def test_active_offers_that_are_missing_are_told_of() -> None:
    plan = when([puts(key=TWO)], {ONE: known(), TWO: known(key=TWO), THREE: known(key=THREE)})
    assert plan.changes == []
    assert plan.outcome.discrepancy == told(MISSING, key=ONE) + told(MISSING, key=THREE)


def test_active_offers_that_are_missing_are_deleted_if_their_partner_wants_it() -> None:
    plan = when([puts(key=TWO)], {ONE: known(version=4), TWO: known(key=TWO)}, DELETE)
    assert [(change.key, change.version, change.events) for change in plan.changes] == [(ONE, 4, [FOR_BEING_MISSING])]
    assert plan.outcome.deleted == told(MISSING)
    assert (plan.outcome.discrepancy, plan.outcome.messages) == ([], [])


def test_what_a_file_deletes_itself_comes_first_and_has_no_cause() -> None:
    plan = when([takes_down(TWO)], {ONE: known(), TWO: known(key=TWO)}, DELETE)
    assert events_of(plan) == {TWO: [DELETED], ONE: [FOR_BEING_MISSING]}
    assert plan.outcome.deleted == told(key=TWO) + told(MISSING, key=ONE)


@either
@pytest.mark.parametrize("status", [PAUSED, GONE])
def test_what_is_not_active_can_not_be_missing(status: Status, missing: MissingFromFile) -> None:
    plan = when([puts(key=TWO)], {ONE: known(status=status), TWO: known(key=TWO)}, missing)
    assert plan.changes == []
    assert (plan.outcome.deleted, plan.outcome.discrepancy) == ([], [])


@pytest.mark.parametrize("ids", [(None, None), (None, "MO-1"), ("M-1", None)])
def test_nothing_is_deleted_for_being_missing_when_a_record_has_no_readable_ids(
    ids: tuple[str | None, str | None],
) -> None:
    records: list[Record] = [puts(name="b", key=TWO), takes_down(THREE), broken(*ids)]
    plan = when(records, {ONE: known(), TWO: known(key=TWO), THREE: known(key=THREE)}, DELETE)
    assert events_of(plan) == {TWO: [examples.updated(merchant_offer(TWO, "b"))], THREE: [DELETED]}
    assert plan.outcome.messages == [NO_IDS]
    assert plan.outcome.discrepancy == told(MISSING)


@pytest.mark.parametrize("records", [[], [broken()], [puts(), puts()], [broken(), broken()]])
def test_nothing_is_deleted_for_being_missing_when_no_record_is_in_order(records: Sequence[Record]) -> None:
    plan = when([*records], {ONE: known(), TWO: known(key=TWO)}, DELETE)
    assert plan.changes == []
    assert plan.outcome.messages == [NOTHING_VALID]
    assert told(MISSING, key=TWO)[0] in plan.outcome.discrepancy


@pytest.mark.parametrize("records", [[], [broken()], [broken(None, None)], [broken("M-1", None)]])
def test_where_nothing_would_be_deleted_nothing_is_said_of_it(records: Sequence[Record]) -> None:
    plan = when([*records], {ONE: known(), TWO: known(key=TWO)})
    assert plan.outcome.messages == []
    assert told(MISSING, key=TWO)[0] in plan.outcome.discrepancy
