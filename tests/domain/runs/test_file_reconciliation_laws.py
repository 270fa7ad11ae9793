"""Laws of offers files: of their records, for any inventory."""

import random

from hypothesis import given
from hypothesis import strategies as st

from domain.offers.content import digest
from domain.offers.offer import ABSENT, Offer, evolve
from domain.runs.file_reconciliation import (
    InvalidRecord,
    OfferStatus,
    Record,
    ValidRecord,
    reconcile_file,
)
from domain.runs.plan import Plan
from domain.runs.run import OUTCOMES, ItemOutcome
from domain.single_requests.request import Put
from domain.values import MissingFromFile, Status
from tests.support.examples import PARTNER, sent_content
from tests.support.histories.single_requests import merchant_key, merchant_offer

Inventory = dict[tuple[str, str], Offer]

KEYS = [merchant_key(offer, merchant) for merchant in ("M-1", "M-2") for offer in ("MO-1", "MO-2")]
PUTS = [status for status in OfferStatus if status is not OfferStatus.DELETED]


def content_digest(merchant_id: str, external_id: str, name: str) -> str:
    return digest(merchant_offer(merchant_key(external_id, merchant_id), name))


def record(ids: tuple[str, str], sent_status: OfferStatus, name: str) -> ValidRecord:
    merchant_id, external_id = ids
    if sent_status is OfferStatus.DELETED:
        return ValidRecord(merchant_id, external_id, sent_status)
    content = merchant_offer(merchant_key(external_id, merchant_id), name)
    return ValidRecord(merchant_id, external_id, sent_status, Put(sent_content(content)))


def broken(merchant_id: str | None, external_id: str | None) -> InvalidRecord:
    return InvalidRecord(merchant_id, external_id, ("offerName: required",))


ids = st.sampled_from([(key.merchant_id or "", key.external_id) for key in KEYS])
names = st.sampled_from(["a", "b"])
valid_records = st.builds(record, ids, st.sampled_from(OfferStatus), names)
broken_records = ids.map(lambda named: broken(*named))
nameless_records = st.sampled_from([broken(None, None), broken("M-1", None), broken(None, "MO-1")])
files = st.lists(valid_records | valid_records | broken_records | nameless_records, max_size=8)
valid_files = st.lists(valid_records, max_size=6, unique_by=lambda sent: (sent.merchant_id, sent.external_id))
inventories: st.SearchStrategy[Inventory] = st.dictionaries(
    ids, st.tuples(names, st.sampled_from([Status.ACTIVE, Status.PAUSED, Status.DELETED]), st.integers(1, 9))
).map(
    lambda offers: {
        named: Offer(status, version, 1, content_digest(*named, name))
        for named, (name, status, version) in offers.items()
    }
)
settings_of_partners = st.sampled_from(MissingFromFile)


def when(records: list[Record], inventory: Inventory, missing: MissingFromFile) -> Plan:
    return reconcile_file(PARTNER, records, inventory, (), missing)


def after(plan: Plan, inventory: Inventory) -> Inventory:
    """Returns the inventory after the plan."""
    offers = dict(inventory)
    for change in plan.changes:
        named = str(change.key.merchant_id), change.key.external_id
        assert change.version == offers.get(named, ABSENT).version
        for event in change.events:
            offers[named] = evolve(offers.get(named, ABSENT), event)
    return offers


def items(plan: Plan) -> list[tuple[str, ItemOutcome]]:
    return [(kind, item) for kind in OUTCOMES for item in getattr(plan.outcome, kind)]


def named_by(records: list[Record]) -> list[tuple[str | None, str | None]]:
    return [(record.merchant_id, record.external_id) for record in records]


# Records


@given(files, inventories, settings_of_partners)
def test_repeated_file_produces_no_event(records: list[Record], inventory: Inventory, missing: MissingFromFile) -> None:
    inventory_after = after(when(records, inventory, missing), inventory)
    repeated = when(records, inventory_after, missing)
    assert repeated.changes == []
    assert repeated.outcome.counts.failed == when(records, inventory, missing).outcome.counts.failed


@given(files, inventories, settings_of_partners)
def test_offers_of_failed_records_never_change(
    records: list[Record], inventory: Inventory, missing: MissingFromFile
) -> None:
    plan = when(records, inventory, missing)
    failed = {(item.merchant_id, item.external_id) for item in plan.outcome.failed}
    assert {named for named in named_by(records) if named_by(records).count(named) > 1} <= failed
    assert failed.isdisjoint((change.key.merchant_id, change.key.external_id) for change in plan.changes)


@given(files, inventories, settings_of_partners)
def test_each_record_and_missing_offer_has_one_outcome(
    records: list[Record], inventory: Inventory, missing: MissingFromFile
) -> None:
    outcomes = [(item.merchant_id, item.external_id) for _, item in items(when(records, inventory, missing))]
    active = [named for named, offer in inventory.items() if offer.status is Status.ACTIVE]
    expected = named_by(records) + [named for named in active if named not in named_by(records)]
    assert sorted(outcomes, key=str) == sorted(expected, key=str)


@given(files, inventories, settings_of_partners)
def test_changed_offers_are_those_in_the_outcome(
    records: list[Record], inventory: Inventory, missing: MissingFromFile
) -> None:
    plan = when(records, inventory, missing)
    changing = ("created", "updated", "restored", "deleted")
    expected = [(item.merchant_id, item.external_id) for kind, item in items(plan) if kind in changing]
    changed = [(change.key.merchant_id, change.key.external_id) for change in plan.changes]
    assert sorted(changed, key=str) == sorted(expected, key=str)
    assert all(change.events for change in plan.changes)
    assert plan.outcome.paused == []


@given(files, inventories, settings_of_partners, st.randoms(use_true_random=False))
def test_order_of_records_makes_no_difference(
    records: list[Record], inventory: Inventory, missing: MissingFromFile, chance: random.Random
) -> None:
    shuffled = list(records)
    chance.shuffle(shuffled)
    one, other = (when(sent, inventory, missing) for sent in (records, shuffled))
    assert sorted(one.changes, key=str) == sorted(other.changes, key=str)
    assert sorted(items(one), key=str) == sorted(items(other), key=str)
    assert one.outcome.messages == other.outcome.messages


@given(valid_files, inventories, settings_of_partners)
def test_valid_records_describe_the_inventory_afterwards(
    records: list[Record], inventory: Inventory, missing: MissingFromFile
) -> None:
    inventory_after = after(when(records, inventory, missing), inventory)
    for sent in records:
        assert isinstance(sent, ValidRecord)
        named = sent.merchant_id, sent.external_id
        if sent.put is None:
            assert inventory_after.get(named, ABSENT).status in {Status.DELETED, Status.ABSENT}
        elif sent.offer_status is not OfferStatus.NO_CHANGE:
            assert (inventory_after[named].status, inventory_after[named].content_digest) == (
                Status.ACTIVE,
                sent.put.content.digest,
            )


@given(valid_files, inventories)
def test_unnamed_offers_change_only_by_deletion_as_missing(records: list[Record], inventory: Inventory) -> None:
    reported, deleted = (after(when(records, inventory, missing), inventory) for missing in MissingFromFile)
    for named, offer in inventory.items():
        if named in named_by(records):
            assert reported[named] == deleted[named]
            continue
        assert reported[named] == offer
        is_deleted = bool(records) and offer.status is Status.ACTIVE
        assert deleted[named].status is (Status.DELETED if is_deleted else offer.status)


@given(files, inventories)
def test_file_with_unreadable_ids_deletes_only_named_offers(records: list[Record], inventory: Inventory) -> None:
    records = [*records, broken(None, None)]
    reported, deleted = (when(records, inventory, missing) for missing in MissingFromFile)
    assert deleted.changes == reported.changes
    assert items(deleted) == items(reported)
    assert len(deleted.outcome.messages) == 1
