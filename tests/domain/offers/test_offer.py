"""Tests of decisions about offers: given earlier events, a request produces the expected events."""

from collections.abc import Sequence
from functools import reduce

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.events import OfferEvent, PauseCause
from domain.offers.content import Content, digest
from domain.offers.offer import ABSENT, STATUS_AFTER, Offer, delete, evolve, pause, put
from domain.values import Status
from tests.support.examples import (
    CONTENT,
    DELETED,
    EVERY_OFFER_EVENT,
    KEY,
    OTHER_CONTENT,
    PAUSED,
    RESUMED,
    created,
    restored,
    sent_content,
    updated,
)

ACTIVE_HISTORY = [created()]
PAUSED_HISTORY = [created(), PAUSED]
DELETED_HISTORY = [created(), DELETED]
DELETED_WHILE_PAUSED = [created(), PAUSED, DELETED]


def given_events(history: Sequence[OfferEvent]) -> Offer:
    return reduce(evolve, history, ABSENT)


@pytest.mark.parametrize(
    ("history", "content", "expected"),
    [
        ([], CONTENT, [created()]),
        (ACTIVE_HISTORY, CONTENT, []),
        (ACTIVE_HISTORY, OTHER_CONTENT, [updated()]),
        (PAUSED_HISTORY, CONTENT, [RESUMED]),
        (PAUSED_HISTORY, OTHER_CONTENT, [RESUMED, updated()]),
        (DELETED_HISTORY, CONTENT, [restored()]),
        (DELETED_WHILE_PAUSED, OTHER_CONTENT, [restored(OTHER_CONTENT)]),
    ],
    ids=["new", "same", "changed", "paused", "paused and changed", "deleted", "deleted while paused, and changed"],
)
def test_put_makes_an_offer_active_with_the_content(
    history: list[OfferEvent], content: Content, expected: list[OfferEvent]
) -> None:
    assert put(given_events(history), KEY, sent_content(content)) == expected


@pytest.mark.parametrize(
    ("history", "expected"),
    [([], []), (ACTIVE_HISTORY, [PAUSED]), (PAUSED_HISTORY, []), (DELETED_HISTORY, [])],
    ids=["unknown", "active", "paused", "deleted"],
)
def test_pause_pauses_only_an_active_offer(history: list[OfferEvent], expected: list[OfferEvent]) -> None:
    assert list(pause(given_events(history), PauseCause.ABSENT_FROM_SYNCHRONIZE)) == expected


@pytest.mark.parametrize(
    ("history", "expected"),
    [([], []), (ACTIVE_HISTORY, [DELETED]), (PAUSED_HISTORY, [DELETED]), (DELETED_HISTORY, [])],
    ids=["unknown", "active", "paused", "deleted"],
)
def test_delete_deletes_an_active_or_paused_offer(history: list[OfferEvent], expected: list[OfferEvent]) -> None:
    assert delete(given_events(history)) == expected


@pytest.mark.parametrize(
    ("history", "status"),
    [
        ([], Status.ABSENT),
        (ACTIVE_HISTORY, Status.ACTIVE),
        (PAUSED_HISTORY, Status.PAUSED),
        ([*PAUSED_HISTORY, RESUMED], Status.ACTIVE),
        (DELETED_HISTORY, Status.DELETED),
        ([*DELETED_HISTORY, restored()], Status.ACTIVE),
        ([*PAUSED_HISTORY, updated()], Status.PAUSED),
    ],
)
def test_events_lead_to_a_status(history: list[OfferEvent], status: Status) -> None:
    assert given_events(history).status is status


def test_unknown_offer_has_no_version_and_no_content() -> None:
    assert Offer(Status.ABSENT, 0, 0, "", None) == ABSENT


def test_status_after_an_event_agrees_with_the_fold() -> None:
    assert {type(event) for event in EVERY_OFFER_EVENT} == set(STATUS_AFTER)
    histories: list[list[OfferEvent]] = [[created()], [created(), PAUSED], [created(), DELETED]]
    for event in EVERY_OFFER_EVENT:
        for before in map(given_events, histories):
            assert evolve(before, event).status is (STATUS_AFTER[type(event)] or before.status)


histories = st.lists(st.sampled_from(EVERY_OFFER_EVENT), max_size=12)


@given(histories)
def test_version_counts_the_events_of_any_history(history: list[OfferEvent]) -> None:
    assert given_events(history).version == len(history)


@given(histories, st.sampled_from([CONTENT, OTHER_CONTENT]))
def test_put_makes_an_offer_active_after_any_history(history: list[OfferEvent], content: Content) -> None:
    before = given_events(history)
    after = reduce(evolve, put(before, KEY, sent_content(content)), before)
    assert (after.status, after.content_digest) == (Status.ACTIVE, digest(content))


@given(histories, st.sampled_from([CONTENT, OTHER_CONTENT]))
def test_repeated_put_produces_no_event(history: list[OfferEvent], content: Content) -> None:
    before = given_events(history)
    after = reduce(evolve, put(before, KEY, sent_content(content)), before)
    assert put(after, KEY, sent_content(content)) == []
