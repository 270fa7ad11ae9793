"""Tests of the decision that undoes a run: the events from an offer's present state to the one before the run."""

from functools import reduce

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from domain.events import OfferDeleted, OfferPaused, OfferRestored, OfferResumed, OfferUpdated
from domain.offers.offer import Offer, evolve
from domain.runs.run import ItemOutcome, OutcomeCounts
from domain.runs.undo import ChangedOffer, plan_undo, reversal, reversing_events
from domain.values import Status

ACTIVE, PAUSED, DELETED, ABSENT = Status.ACTIVE, Status.PAUSED, Status.DELETED, Status.ABSENT
EARLIER = OfferUpdated(content=Raw(b'{"a": 1}'), content_digest="earlier", sent_digest="sent", images=("image",))


def changed(
    status: Status, before: Status, *, other_content: bool = False, by: str | None = None, name: str = "TP-1"
) -> ChangedOffer:
    content_before = 0 if before is ABSENT else 1
    return ChangedOffer(b"", 1, None, name, 3, status, before, content_before, other_content, by)


@pytest.mark.parametrize(
    ("status", "before", "other_content", "expected"),
    [
        (ACTIVE, ABSENT, False, [OfferDeleted]),
        (PAUSED, ABSENT, False, [OfferDeleted]),
        (ACTIVE, ACTIVE, True, [OfferUpdated]),
        (PAUSED, ACTIVE, False, [OfferResumed]),
        (PAUSED, ACTIVE, True, [OfferResumed, OfferUpdated]),
        (ACTIVE, PAUSED, False, [OfferPaused]),
        (ACTIVE, PAUSED, True, [OfferPaused, OfferUpdated]),
        (DELETED, ACTIVE, False, [OfferRestored]),
        (DELETED, ACTIVE, True, [OfferRestored]),
        (DELETED, PAUSED, True, [OfferRestored, OfferPaused]),
        (ACTIVE, DELETED, False, [OfferDeleted]),
        (ACTIVE, DELETED, True, [OfferDeleted, OfferUpdated]),
        (PAUSED, DELETED, False, [OfferDeleted]),
        (PAUSED, PAUSED, True, [OfferUpdated]),
        (DELETED, DELETED, True, [OfferUpdated]),
        (ACTIVE, ACTIVE, False, []),
        (DELETED, ABSENT, False, []),
    ],
)
def test_reversal_is_the_shortest_list_of_opposite_events(
    status: Status, before: Status, *, other_content: bool, expected: list[type]
) -> None:
    assert list(reversal(changed(status, before, other_content=other_content))) == expected


@given(st.sampled_from([ACTIVE, PAUSED, DELETED]), st.sampled_from([ACTIVE, PAUSED, DELETED]), st.booleans())
def test_reversal_leads_to_the_earlier_status_and_content(status: Status, before: Status, other_content: bool) -> None:
    offer = changed(status, before, other_content=other_content)
    present = Offer(status, 3, 2, "present" if other_content else "earlier", None)
    events = list(reversing_events(offer, EARLIER if offer.needs_content else None))
    after = reduce(evolve, events, present)
    assert (after.status, after.content_digest, after.version) == (before, "earlier", 3 + len(reversal(offer)))


def test_reversal_has_the_cause_undo_and_the_stored_content() -> None:
    causes = [
        event.cause
        for before in (PAUSED, ABSENT)
        for event in reversing_events(changed(ACTIVE, before), None)
        if isinstance(event, OfferPaused | OfferDeleted)
    ]
    assert causes == ["undo", "undo"]
    (restored,) = reversing_events(changed(DELETED, ACTIVE), EARLIER)
    (updated,) = reversing_events(changed(ACTIVE, ACTIVE, other_content=True), EARLIER)
    assert isinstance(restored, OfferRestored)
    assert updated == EARLIER
    assert (restored.content, restored.content_digest) == (EARLIER.content, "earlier")
    assert (restored.sent_digest, restored.images) == ("sent", ("image",))


@pytest.mark.parametrize("before", [ABSENT, ACTIVE, PAUSED, DELETED])
@pytest.mark.parametrize("status", [ACTIVE, PAUSED, DELETED])
def test_content_is_needed_for_its_own_events_only(status: Status, before: Status) -> None:
    assert changed(status, before).needs_content is (status is DELETED and before in {ACTIVE, PAUSED})


def test_plan_lists_each_offer_by_its_outcome() -> None:
    offers = [
        changed(ACTIVE, ABSENT, name="created"),
        changed(ACTIVE, ACTIVE, other_content=True, name="updated"),
        changed(PAUSED, ACTIVE, name="paused"),
        changed(ACTIVE, PAUSED, other_content=True, name="resumed"),
        changed(DELETED, ACTIVE, name="deleted"),
        changed(ACTIVE, ACTIVE, name="same"),
        changed(ACTIVE, ABSENT, by="run R", name="changed since"),
        changed(ACTIVE, ABSENT, by="request req-1", name="sent since"),
    ]
    plan = plan_undo(offers)
    assert plan.reversals == offers[:5]
    outcome = plan.outcome
    assert outcome.counts == OutcomeCounts(updated=2, restored=1, unchanged=1, paused=1, deleted=1, kept=2)
    assert outcome.updated == [ItemOutcome("updated", ()), ItemOutcome("paused", ("Offer has been resumed",))]
    assert [outcome.deleted, outcome.paused, outcome.restored, outcome.unchanged] == [
        [ItemOutcome("created", ())],
        [ItemOutcome("resumed", ())],
        [ItemOutcome("deleted", ())],
        [ItemOutcome("same", ())],
    ]
    assert outcome.kept == [
        ItemOutcome("changed since", ("Offer has been changed since by run R",)),
        ItemOutcome("sent since", ("Offer has been changed since by request req-1",)),
    ]
