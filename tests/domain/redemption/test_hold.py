"""Tests of holds: given events, when an operator holds or releases an offer, then events or a refusal."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import reduce

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.events import HoldEvent, OfferHeld, OfferReleased
from domain.redemption import hold
from domain.redemption.hold import Hold, HoldCommand, HoldOffer, ReleaseOffer
from domain.refusals import HoldEndsInThePast
from domain.values import to_microseconds
from tests.support.examples import KEY

NOW = datetime(2026, 11, 22, 12, 30, tzinfo=UTC)
INSTANT = timedelta(microseconds=1)
UID = KEY.offer_uid
RELEASED = OfferReleased(offer_uid=str(UID))


def held(until: datetime | None = None) -> OfferHeld:
    return OfferHeld(offer_uid=str(UID), until=to_microseconds(until) if until else None)


def when(command: HoldCommand, *events: HoldEvent) -> Sequence[HoldEvent]:
    earlier: Hold | None = None
    return hold.decide_hold(reduce(hold.evolve, events, earlier), command, NOW)


@pytest.mark.parametrize("until", [None, NOW + INSTANT, NOW + timedelta(days=400)])
def test_offer_is_held_until_a_later_time_or_its_release(until: datetime | None) -> None:
    assert when(HoldOffer(UID, until)) == [held(until)]
    assert when(HoldOffer(UID, until), held(NOW), RELEASED) == [held(until)]


@pytest.mark.parametrize("until", [NOW, NOW - INSTANT])
def test_hold_can_not_end_in_the_past(until: datetime) -> None:
    with pytest.raises(HoldEndsInThePast):
        when(HoldOffer(UID, until), held())


def test_repeated_hold_records_nothing() -> None:
    until = NOW + INSTANT
    assert when(HoldOffer(UID), held()) == []
    assert when(HoldOffer(UID, until), held(), held(until)) == []


def test_hold_with_another_end_is_recorded() -> None:
    until = NOW + timedelta(days=1)
    assert when(HoldOffer(UID, until), held()) == [held(until)]
    assert when(HoldOffer(UID), held(until)) == [held()]


def test_release_ends_a_hold_in_force() -> None:
    assert when(ReleaseOffer(UID), held()) == [RELEASED]
    assert when(ReleaseOffer(UID), held(NOW + INSTANT)) == [RELEASED]


@pytest.mark.parametrize("events", [[], [held(), RELEASED], [held(NOW)]])
def test_release_of_an_offer_that_is_not_held_records_nothing(events: list[HoldEvent]) -> None:
    assert when(ReleaseOffer(UID), *events) == []


def test_hold_ends_at_its_end() -> None:
    assert Hold(NOW).is_in_force(NOW - INSTANT)
    assert not Hold(NOW).is_in_force(NOW)
    assert Hold().is_in_force(NOW)


COMMANDS = st.one_of(
    st.builds(HoldOffer, st.just(UID), st.none() | st.integers(1, 9).map(lambda days: NOW + timedelta(days=days))),
    st.just(ReleaseOffer(UID)),
)


@given(st.lists(COMMANDS))
def test_offer_is_as_the_last_command_says(commands: list[HoldCommand]) -> None:
    state: Hold | None = None
    for command in commands:
        state = reduce(hold.evolve, hold.decide_hold(state, command, NOW), state)
        assert state == (Hold(command.until) if isinstance(command, HoldOffer) else None)
        assert hold.decide_hold(state, command, NOW) == []
