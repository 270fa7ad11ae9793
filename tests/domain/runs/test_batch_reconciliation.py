"""Given an inventory, when a batch arrives, then this plan. (The batch document's behaviour tree.)"""

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.events import OfferEvent
from domain.offers.content import Content, digest
from domain.offers.offer import Offer
from domain.runs.batch_reconciliation import (
    NOTHING_PAUSED,
    RESUMED,
    SAME_DATA,
    InvalidItem,
    SentItem,
    ValidItem,
    reconcile,
)
from domain.runs.plan import Plan
from domain.runs.run import ItemOutcome
from domain.values import Operation, Status
from tests.support import examples
from tests.support.examples import CONTENT, OTHER_CONTENT, PARTNER, PAUSED, sent_content, updated

SYNCHRONIZE, INSERT = Operation.SYNCHRONIZE, Operation.INSERT
both = pytest.mark.parametrize("operation", list(Operation))


def known(status: Status = Status.ACTIVE, content: Content = CONTENT) -> Offer:
    return Offer(status, 1, 1, digest(content))


def valid(external_id: str = "TP-1", content: Content = CONTENT) -> ValidItem:
    return ValidItem(external_id, sent_content(content))


def invalid(external_id: str | None = "TP-1", message: str = "offerData: required") -> InvalidItem:
    return InvalidItem(external_id, (message,))


def when(operation: Operation, items: list[SentItem], inventory: Mapping[str, Offer]) -> Plan:
    return reconcile(PARTNER, operation, items, inventory)


def events_of(plan: Plan) -> dict[str, list[OfferEvent]]:
    return {change.key.external_id: change.events for change in plan.changes}


def told(external_id: str | None = "TP-1", *messages: str) -> list[ItemOutcome]:
    return [ItemOutcome(external_id, messages)]


@both
def test_an_unknown_offer_is_created(operation: Operation) -> None:
    plan = when(operation, [valid()], {})
    assert events_of(plan) == {"TP-1": [examples.created()]}
    assert plan.outcome.created == told()


@both
def test_a_known_offer_with_the_same_content_stays_as_it_is(operation: Operation) -> None:
    plan = when(operation, [valid()], {"TP-1": known()})
    assert plan.changes == []
    assert plan.outcome.unchanged == told("TP-1", SAME_DATA)


@both
def test_a_known_offer_with_other_content_is_replaced(operation: Operation) -> None:
    plan = when(operation, [valid(content=OTHER_CONTENT)], {"TP-1": known()})
    assert events_of(plan) == {"TP-1": [updated()]}
    assert plan.outcome.updated == told()


@both
def test_a_paused_offer_that_is_sent_is_resumed(operation: Operation) -> None:
    plan = when(operation, [valid()], {"TP-1": known(Status.PAUSED)})
    assert events_of(plan) == {"TP-1": [examples.RESUMED]}
    assert plan.outcome.updated == told("TP-1", RESUMED)


@both
def test_a_paused_offer_that_is_sent_with_other_content_is_resumed_and_replaced(operation: Operation) -> None:
    plan = when(operation, [valid(content=OTHER_CONTENT)], {"TP-1": known(Status.PAUSED)})
    assert events_of(plan) == {"TP-1": [examples.RESUMED, updated()]}
    assert plan.outcome.updated == told("TP-1", RESUMED)


@both
def test_a_deleted_offer_that_is_sent_is_restored(operation: Operation) -> None:
    plan = when(operation, [valid()], {"TP-1": known(Status.DELETED)})
    assert events_of(plan) == {"TP-1": [examples.restored()]}
    assert plan.outcome.updated == told()


def test_an_absent_active_offer_is_paused_by_a_synchronize() -> None:
    plan = when(SYNCHRONIZE, [valid()], {"TP-1": known(), "TP-2": known()})
    assert events_of(plan) == {"TP-2": [PAUSED]}
    assert plan.outcome.paused == told("TP-2")


@pytest.mark.parametrize("status", [Status.PAUSED, Status.DELETED])
def test_an_absent_offer_that_is_not_active_stays_as_it_is(status: Status) -> None:
    assert events_of(when(SYNCHRONIZE, [valid()], {"TP-1": known(), "TP-2": known(status)})) == {}


def test_an_absent_offer_is_not_touched_by_an_insert() -> None:
    assert events_of(when(INSERT, [valid()], {"TP-1": known(), "TP-2": known()})) == {}


@both
def test_an_invalid_item_leaves_its_offer_as_it_is_and_counts_as_present(operation: Operation) -> None:
    plan = when(operation, [valid("TP-2"), invalid()], {"TP-1": known(), "TP-2": known()})
    assert plan.changes == []
    assert plan.outcome.failed == told("TP-1", "offerData: required")


@both
def test_copies_that_say_the_same_are_one_offer(operation: Operation) -> None:
    plan = when(operation, [valid(), valid()], {})
    assert events_of(plan) == {"TP-1": [examples.created()]}
    assert plan.outcome.created == told()


@both
@pytest.mark.parametrize("other", [valid(content=OTHER_CONTENT), invalid()])
def test_copies_that_differ_are_not_applied_and_count_as_present(operation: Operation, other: SentItem) -> None:
    plan = when(operation, [valid(), other, valid("TP-2")], {"TP-1": known(), "TP-2": known()})
    assert plan.changes == []
    assert [failed.external_id for failed in plan.outcome.failed] == ["TP-1"]
    assert plan.outcome.failed[0].messages[0] == "externalId: sent 2 times with different content"


def test_nothing_is_paused_when_an_item_has_no_readable_external_id() -> None:
    plan = when(SYNCHRONIZE, [valid(), invalid(None)], {"TP-1": known(), "TP-2": known()})
    assert plan.changes == []
    assert plan.outcome.messages == [NOTHING_PAUSED]
    assert plan.outcome.failed == told(None, "offerData: required")


def test_nothing_is_paused_when_all_items_fail() -> None:
    plan = when(SYNCHRONIZE, [invalid()], {"TP-1": known(), "TP-2": known()})
    assert plan.changes == []
    assert plan.outcome.counts.nothing_valid


def test_the_lists_of_an_outcome_are_in_the_order_of_the_request() -> None:
    plan = when(INSERT, [valid("b"), valid("a"), valid("c")], {})
    assert [created.external_id for created in plan.outcome.created] == ["b", "a", "c"]


ids = st.sampled_from(["a", "b", "c", "d"])
items = st.builds(valid, ids, st.sampled_from([CONTENT, OTHER_CONTENT])) | st.builds(invalid, ids | st.none())
inventories = st.dictionaries(
    ids, st.builds(known, st.sampled_from([Status.ACTIVE, Status.PAUSED, Status.DELETED]), st.just(CONTENT))
)


@given(st.sampled_from(Operation), st.lists(items, min_size=1, max_size=8), inventories)
def test_every_readable_id_of_a_request_has_one_outcome(
    operation: Operation, sent: list[SentItem], inventory: dict[str, Offer]
) -> None:
    outcome = when(operation, sent, inventory).outcome
    told_of = [o.external_id for o in (*outcome.created, *outcome.updated, *outcome.unchanged, *outcome.failed)]
    readable = [external_id for external_id in told_of if external_id is not None]
    assert sorted(readable) == sorted({item.external_id for item in sent if item.external_id is not None})


@given(st.sampled_from(Operation), st.lists(items, min_size=1, max_size=8), inventories)
def test_an_offer_changes_exactly_when_the_outcome_says_so(
    operation: Operation, sent: list[SentItem], inventory: dict[str, Offer]
) -> None:
    plan = when(operation, sent, inventory)
    outcome = plan.outcome
    changed = sorted(str(o.external_id) for o in (*outcome.created, *outcome.updated, *outcome.paused))
    assert sorted(events_of(plan)) == changed
