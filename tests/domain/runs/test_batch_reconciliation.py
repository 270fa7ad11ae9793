"""Tests of the changes that a batch makes. (The batch document's behaviour tree.)"""

import re
from collections.abc import Mapping, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from domain.events import OfferEvent
from domain.offers.content import Content, digest
from domain.offers.offer import Offer
from domain.runs.batch_reconciliation import InvalidItem, SentItem, ValidItem, reconcile
from domain.runs.plan import Plan
from domain.runs.run import ItemOutcome
from domain.values import Operation, Status
from tests.support import examples
from tests.support.examples import CONTENT, OTHER_CONTENT, PARTNER, PAUSED, sent_content, updated

SAME_DATA = "Offer has the same data"
RESUMED = "Offer has been resumed"
RESTORED = "Offer has been restored"
NOTHING_PAUSED = "No offer has been paused: an item of this request has no readable externalId"
SYNCHRONIZE, INSERT = Operation.SYNCHRONIZE, Operation.INSERT
both = pytest.mark.parametrize("operation", list(Operation))


def known(status: Status = Status.ACTIVE, content: Content = CONTENT) -> Offer:
    return Offer(status, 1, 1, digest(content))


def valid(external_id: str = "TP-1", content: Content = CONTENT) -> ValidItem:
    return ValidItem(external_id, sent_content(content))


def invalid(external_id: str | None = "TP-1", message: str = "offerData: required") -> InvalidItem:
    return InvalidItem(external_id, (message,))


def when(operation: Operation, items: Sequence[SentItem], inventory: Mapping[str, Offer]) -> Plan:
    return reconcile(PARTNER, operation, items, inventory)


def events_of(plan: Plan) -> dict[str, list[OfferEvent]]:
    return {change.key.external_id: list(change.events) for change in plan.changes}


def item_outcomes(external_id: str | None = "TP-1", *messages: str) -> list[ItemOutcome]:
    return [ItemOutcome(external_id, messages)]


@both
def test_unknown_offer_is_created(operation: Operation) -> None:
    plan = when(operation, [valid()], {})
    assert events_of(plan) == {"TP-1": [examples.created()]}
    assert plan.outcome.created == item_outcomes()


@both
def test_offer_with_the_same_content_is_unchanged(operation: Operation) -> None:
    plan = when(operation, [valid()], {"TP-1": known()})
    assert plan.changes == []
    assert plan.outcome.unchanged == item_outcomes("TP-1", SAME_DATA)


@both
def test_offer_with_other_content_is_updated(operation: Operation) -> None:
    plan = when(operation, [valid(content=OTHER_CONTENT)], {"TP-1": known()})
    assert events_of(plan) == {"TP-1": [updated()]}
    assert plan.outcome.updated == item_outcomes()


@both
def test_paused_offer_is_resumed(operation: Operation) -> None:
    plan = when(operation, [valid()], {"TP-1": known(Status.PAUSED)})
    assert events_of(plan) == {"TP-1": [examples.RESUMED]}
    assert plan.outcome.updated == item_outcomes("TP-1", RESUMED)


@both
def test_paused_offer_with_other_content_is_resumed_and_updated(operation: Operation) -> None:
    plan = when(operation, [valid(content=OTHER_CONTENT)], {"TP-1": known(Status.PAUSED)})
    assert events_of(plan) == {"TP-1": [examples.RESUMED, updated()]}
    assert plan.outcome.updated == item_outcomes("TP-1", RESUMED)


@both
def test_deleted_offer_is_restored(operation: Operation) -> None:
    plan = when(operation, [valid()], {"TP-1": known(Status.DELETED)})
    assert events_of(plan) == {"TP-1": [examples.restored()]}
    assert plan.outcome.updated == item_outcomes("TP-1", RESTORED)


def test_synchronize_pauses_an_absent_active_offer() -> None:
    plan = when(SYNCHRONIZE, [valid()], {"TP-1": known(), "TP-2": known()})
    assert events_of(plan) == {"TP-2": [PAUSED]}
    assert plan.outcome.paused == item_outcomes("TP-2")


@pytest.mark.parametrize("status", [Status.PAUSED, Status.DELETED])
def test_synchronize_keeps_an_absent_offer_that_is_not_active(status: Status) -> None:
    assert events_of(when(SYNCHRONIZE, [valid()], {"TP-1": known(), "TP-2": known(status)})) == {}


def test_insert_keeps_absent_offers() -> None:
    assert events_of(when(INSERT, [valid()], {"TP-1": known(), "TP-2": known()})) == {}


@both
def test_invalid_item_changes_nothing_and_counts_as_present(operation: Operation) -> None:
    plan = when(operation, [valid("TP-2"), invalid()], {"TP-1": known(), "TP-2": known()})
    assert plan.changes == []
    assert plan.outcome.failed == item_outcomes("TP-1", "offerData: required")


@both
def test_items_with_same_id_and_content_are_one_offer(operation: Operation) -> None:
    plan = when(operation, [valid(), valid(), valid("TP-2")], {})
    assert events_of(plan)["TP-1"] == [examples.created()]
    assert plan.outcome.created == [*item_outcomes("TP-1", "Sent 2 times"), *item_outcomes("TP-2")]


@both
@pytest.mark.parametrize(
    ("status", "outcome", "message"),
    [
        (Status.ACTIVE, "unchanged", SAME_DATA),
        (Status.PAUSED, "updated", RESUMED),
        (Status.DELETED, "updated", RESTORED),
    ],
)
def test_copies_are_counted_after_the_message_of_the_offer(
    operation: Operation, status: Status, outcome: str, message: str
) -> None:
    plan = when(operation, [valid()] * 3, {"TP-1": known(status)})
    assert getattr(plan.outcome, outcome) == item_outcomes("TP-1", message, "Sent 3 times")


def test_equal_invalid_items_are_listed_once_with_their_number() -> None:
    plan = when(INSERT, [invalid(), valid("TP-2"), invalid()], {})
    assert plan.outcome.failed == item_outcomes("TP-1", "offerData: required", "Sent 2 times")


def test_messages_of_all_copies_are_kept_once() -> None:
    copies = [replace(valid(), remarks=remarks) for remarks in ((), ("a", "b"), ("b", "c"))]
    assert when(INSERT, copies, {}).outcome.created == item_outcomes("TP-1", "a", "b", "c", "Sent 3 times")


def test_at_most_ten_messages_of_copies_are_kept() -> None:
    copies = [replace(valid(), remarks=tuple(f"{n}.{part}" for part in "ab")) for n in range(6)]
    kept = [f"{n}.{part}" for n in range(5) for part in "ab"]
    assert when(INSERT, copies, {}).outcome.created == item_outcomes("TP-1", *kept, "Sent 6 times")


def test_different_copies_keep_the_messages_of_invalid_ones() -> None:
    copies: list[SentItem] = [valid(), invalid(message="name: required"), invalid(message="headline: required")]
    assert when(INSERT, copies, {}).outcome.failed == item_outcomes(
        "TP-1", "externalId: sent 3 times with different content", "name: required", "headline: required"
    )


@both
@pytest.mark.parametrize("other", [valid(content=OTHER_CONTENT), invalid()])
def test_items_with_same_id_and_different_content_fail(operation: Operation, other: SentItem) -> None:
    plan = when(operation, [valid(), other, valid("TP-2")], {"TP-1": known(), "TP-2": known()})
    assert plan.changes == []
    assert [failed.external_id for failed in plan.outcome.failed] == ["TP-1"]
    assert plan.outcome.failed[0].messages[0] == "externalId: sent 2 times with different content"


@both
@pytest.mark.parametrize("place", range(3))
def test_one_different_copy_of_three_fails_the_offer(operation: Operation, place: int) -> None:
    copies = [valid(), valid()]
    copies.insert(place, valid(content=OTHER_CONTENT))
    plan = when(operation, copies, {})
    assert plan.changes == []
    assert plan.outcome.failed == item_outcomes("TP-1", "externalId: sent 3 times with different content")


def test_synchronize_pauses_nothing_if_an_external_id_is_unreadable() -> None:
    plan = when(SYNCHRONIZE, [valid(), invalid(None)], {"TP-1": known(), "TP-2": known()})
    assert plan.changes == []
    assert plan.outcome.messages == [NOTHING_PAUSED]
    assert plan.outcome.failed == item_outcomes("", "offerData: required")


def test_synchronize_pauses_nothing_if_all_items_fail() -> None:
    plan = when(SYNCHRONIZE, [invalid()], {"TP-1": known(), "TP-2": known()})
    assert plan.changes == []
    assert plan.outcome.counts.nothing_valid


def test_outcome_lists_are_in_the_order_of_the_request() -> None:
    plan = when(INSERT, [valid("b"), valid("a"), valid("c")], {})
    assert [created.external_id for created in plan.outcome.created] == ["b", "a", "c"]


ids = st.sampled_from(["a", "b", "c", "d"])
items = st.builds(valid, ids, st.sampled_from([CONTENT, OTHER_CONTENT])) | st.builds(invalid, ids | st.none())
inventories = st.dictionaries(
    ids, st.builds(known, st.sampled_from([Status.ACTIVE, Status.PAUSED, Status.DELETED]), st.just(CONTENT))
)


@given(st.sampled_from(Operation), st.lists(items, min_size=1, max_size=8), inventories)
def test_each_readable_id_has_one_outcome(
    operation: Operation, sent: list[SentItem], inventory: dict[str, Offer]
) -> None:
    outcome = when(operation, sent, inventory).outcome
    external_ids = [o.external_id for o in (*outcome.created, *outcome.updated, *outcome.unchanged, *outcome.failed)]
    assert sorted(filter(None, external_ids)) == sorted({item.external_id for item in sent if item.external_id})


@given(st.sampled_from(Operation), st.lists(items, min_size=1, max_size=8), inventories)
def test_counts_and_messages_about_copies_explain_every_item(
    operation: Operation, sent: list[SentItem], inventory: dict[str, Offer]
) -> None:
    outcome = when(operation, sent, inventory).outcome
    listed = [*outcome.created, *outcome.updated, *outcome.unchanged, *outcome.failed]
    copies = [int(found[1]) - 1 for o in listed for m in o.messages if (found := _SENT.search(m))]
    assert len(listed) + sum(copies) == len(sent)


_SENT = re.compile(r"[Ss]ent ([0-9]+) times")


@given(st.sampled_from(Operation), st.lists(items, min_size=1, max_size=8), inventories)
def test_changed_offers_are_those_in_the_outcome(
    operation: Operation, sent: list[SentItem], inventory: dict[str, Offer]
) -> None:
    plan = when(operation, sent, inventory)
    outcome = plan.outcome
    changed = sorted(str(o.external_id) for o in (*outcome.created, *outcome.updated, *outcome.paused))
    assert sorted(events_of(plan)) == changed
