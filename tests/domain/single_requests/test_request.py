"""What a request about one offer does, whatever state the offer is in."""

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
def test_an_outcome_follows_from_the_offer_and_the_action(
    offer: Offer, action: Put | Delete, types: list[type[EventStruct]], outcome: TraceOutcome
) -> None:
    events, told = decide(offer, KEY, action)
    assert ([type(event) for event in events], told) == (types, outcome)


def test_a_created_offer_has_its_identity_and_its_content() -> None:
    (event,), _ = decide(ABSENT, KEY, PUT)
    assert isinstance(event, OfferCreated)
    assert (event.partner, event.channel, event.merchant_id, event.external_id) == KEY
    assert (event.content, event.content_digest) == (PUT.content.text, PUT.content.digest)


ACTIONS = st.sampled_from([PUT, PUT_OTHER, DELETE])


def carried_out(actions: list[Put | Delete]) -> tuple[Offer, list[TraceOutcome]]:
    offer, outcomes = ABSENT, []
    for action in actions:
        events, outcome = decide(offer, KEY, action)
        assert (outcome in {UNCHANGED, UNKNOWN}) is (not events)
        offer = reduce(evolve, events, offer)
        outcomes.append(outcome)
    return offer, outcomes


@given(st.lists(ACTIONS), ACTIONS)
def test_doing_a_thing_twice_changes_nothing(before: list[Put | Delete], action: Put | Delete) -> None:
    once, _ = carried_out([*before, action])
    twice, outcomes = carried_out([*before, action, action])
    assert once == twice
    assert outcomes[-1] in {UNCHANGED, UNKNOWN}


@given(st.lists(ACTIONS, min_size=1))
def test_the_last_action_decides_what_the_offer_is(actions: list[Put | Delete]) -> None:
    offer, outcomes = carried_out(actions)
    if isinstance(actions[-1], Put):
        assert (offer.status, offer.content_digest) == (Status.ACTIVE, actions[-1].content.digest)
    else:
        assert offer.status in {Status.DELETED, Status.ABSENT}
    assert offer.version == sum(outcome not in {UNCHANGED, UNKNOWN} for outcome in outcomes)


@given(st.lists(ACTIONS))
def test_an_offer_is_created_once_and_restored_as_often_as_it_was_deleted(actions: list[Put | Delete]) -> None:
    _, outcomes = carried_out(actions)
    assert outcomes.count(CREATED) <= 1
    assert 0 <= outcomes.count(DELETED_NOW) - outcomes.count(RESTORED) <= 1
