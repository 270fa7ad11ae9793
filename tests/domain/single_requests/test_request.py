"""Tests of decisions about single requests, for all states of the offer."""

from functools import reduce

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.events import EventStruct, OfferCreated, OfferDeleted, OfferEvent, OfferRestored, OfferResumed, OfferUpdated
from domain.offers.offer import ABSENT, Offer, evolve
from domain.single_requests.request import Delete, Put, TraceOutcome, decide
from domain.values import Channel, OfferKey, Status
from tests.support.examples import CONTENT, DELETED, OTHER_CONTENT, PARTNER, PAUSED, created, sent_content

KEY = OfferKey(PARTNER, Channel.MERCHANT, "MER-310", "OFR-8841")
PUT, PUT_OTHER, DELETE = Put(sent_content(CONTENT)), Put(sent_content(OTHER_CONTENT)), Delete()
CREATED, UPDATED, UNCHANGED = TraceOutcome.CREATED, TraceOutcome.UPDATED, TraceOutcome.UNCHANGED
DELETED_NOW, RESTORED, UNKNOWN = TraceOutcome.DELETED, TraceOutcome.RESTORED, TraceOutcome.UNKNOWN


def after(*events: OfferEvent) -> Offer:
    return reduce(evolve, events, ABSENT)


ACTIVE = after(created())
PAUSED_OFFER = after(created(), PAUSED)
GONE = after(created(), DELETED)


@pytest.mark.parametrize(
    ("offer", "action", "types", "outcome"),
    [
        (ABSENT, PUT, [OfferCreated], CREATED),
        (ABSENT, DELETE, [], UNKNOWN),
        (ACTIVE, PUT, [], UNCHANGED),
        (ACTIVE, PUT_OTHER, [OfferUpdated], UPDATED),
        (ACTIVE, DELETE, [OfferDeleted], DELETED_NOW),
        (PAUSED_OFFER, PUT, [OfferResumed], UPDATED),
        (PAUSED_OFFER, PUT_OTHER, [OfferResumed, OfferUpdated], UPDATED),
        (PAUSED_OFFER, DELETE, [OfferDeleted], DELETED_NOW),
        (GONE, PUT, [OfferRestored], RESTORED),
        (GONE, PUT_OTHER, [OfferRestored], RESTORED),
        (GONE, DELETE, [], UNCHANGED),
    ],
)
def test_outcome_depends_on_offer_and_action(
    offer: Offer, action: Put | Delete, types: list[type[EventStruct]], outcome: TraceOutcome
) -> None:
    events, decided_outcome = decide(offer, KEY, action)
    assert ([type(event) for event in events], decided_outcome) == (types, outcome)


def test_created_offer_has_its_key_and_content() -> None:
    (event,), _ = decide(ABSENT, KEY, PUT)
    assert isinstance(event, OfferCreated)
    assert (event.partner, event.channel, event.merchant_id, event.external_id) == KEY
    assert (event.content, event.content_digest) == (PUT.content.text, PUT.content.digest)


ACTIONS = st.sampled_from([PUT, PUT_OTHER, DELETE])


def decided(actions: list[Put | Delete]) -> tuple[Offer, list[TraceOutcome]]:
    offer, outcomes = ABSENT, []
    for action in actions:
        events, outcome = decide(offer, KEY, action)
        assert (outcome in {UNCHANGED, UNKNOWN}) is (not events)
        offer = reduce(evolve, events, offer)
        outcomes.append(outcome)
    return offer, outcomes


@given(st.lists(ACTIONS), ACTIONS)
def test_repeated_action_changes_nothing(before: list[Put | Delete], action: Put | Delete) -> None:
    once, _ = decided([*before, action])
    twice, outcomes = decided([*before, action, action])
    assert once == twice
    assert outcomes[-1] in {UNCHANGED, UNKNOWN}


@given(st.lists(ACTIONS, min_size=1))
def test_last_action_determines_the_offer(actions: list[Put | Delete]) -> None:
    offer, outcomes = decided(actions)
    if isinstance(actions[-1], Put):
        assert (offer.status, offer.content_digest) == (Status.ACTIVE, actions[-1].content.digest)
    else:
        assert offer.status in {Status.DELETED, Status.ABSENT}
    assert offer.version == sum(outcome not in {UNCHANGED, UNKNOWN} for outcome in outcomes)


@given(st.lists(ACTIONS))
def test_offer_is_created_once_and_restored_after_deletions(actions: list[Put | Delete]) -> None:
    _, outcomes = decided(actions)
    assert outcomes.count(CREATED) <= 1
    assert 0 <= outcomes.count(DELETED_NOW) - outcomes.count(RESTORED) <= 1
