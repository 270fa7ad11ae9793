"""Tests of decisions about activations, and of the state of redemption windows."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.events import OfferActivated
from domain.redemption.activation import (
    Activate,
    Activation,
    OfferAsOf,
    WindowState,
    activate,
    activation_of,
    state_at,
)
from domain.redemption.window import redemption_window
from domain.refusals import OfferNotActivatable, TimeInFuture
from domain.values import Status, to_microseconds
from tests.support.examples import KEY

NOW = datetime(2026, 11, 22, 12, 30, tzinfo=UTC)
INSTANT = timedelta(microseconds=1)
MAX_REPORT_DELAY, CLOCK_TOLERANCE = timedelta(days=14), timedelta(minutes=5)
ACTIVE = OfferAsOf(Status.ACTIVE, 3)
OFFER = KEY.offer_uid


def when(
    activated_at: datetime | None = None,
    activations: Sequence[Activation] = (),
    offer: OfferAsOf = ACTIVE,
    current_status: Status = Status.ACTIVE,
    days: int = 45,
) -> Activation | OfferActivated:
    return activate(Activate("C-1", OFFER, activated_at), activations, offer, current_status, days, NOW)


def activation_at(activated_at: datetime, days: int = 45) -> Activation:
    event = OfferActivated(
        customer_id="C-1",
        offer_uid=str(OFFER),
        offer_version=1,
        activated_at=to_microseconds(activated_at),
        redemption_window_days=days,
        redeemable_until=to_microseconds(activated_at + timedelta(days=days)),
    )
    return activation_of(uuid4(), event)


def test_activation_fixes_version_days_and_end_of_window() -> None:
    event = when(days=31)
    assert event == OfferActivated(
        customer_id="C-1",
        offer_uid=str(OFFER),
        offer_version=3,
        activated_at=to_microseconds(NOW),
        redemption_window_days=31,
        redeemable_until=to_microseconds(NOW + timedelta(days=31)),
        late=False,
    )


@pytest.mark.parametrize("status", [Status.ABSENT, Status.PAUSED, Status.DELETED])
def test_offer_not_active_at_that_time_can_not_be_activated(status: Status) -> None:
    with pytest.raises(OfferNotActivatable, match=r"^The offer was not active at that time$"):
        when(offer=OfferAsOf(status, 3))


def test_offer_without_events_has_version_zero() -> None:
    assert OfferAsOf() == OfferAsOf(Status.ABSENT, 0)


def test_window_states_use_the_words_of_the_contract() -> None:
    assert list(WindowState) == ["open", "winding_down", "expired"]


@pytest.mark.parametrize("current_status", [Status.PAUSED, Status.DELETED])
def test_activation_of_an_offer_that_ended_since_is_late(current_status: Status) -> None:
    event = when(NOW - timedelta(days=1), current_status=current_status)
    assert isinstance(event, OfferActivated)
    assert event.late


def test_activation_can_be_reported_at_most_14_days_late() -> None:
    assert isinstance(when(NOW - MAX_REPORT_DELAY), OfferActivated)
    with pytest.raises(OfferNotActivatable, match=r"^An activation can be reported at most 14 days late$"):
        when(NOW - MAX_REPORT_DELAY - INSTANT)


def test_activation_can_be_five_minutes_ahead() -> None:
    assert isinstance(when(NOW + CLOCK_TOLERANCE), OfferActivated)
    with pytest.raises(TimeInFuture, match=r"^activatedAt is in the future$"):
        when(NOW + CLOCK_TOLERANCE + INSTANT)


@pytest.mark.parametrize("offer", [OfferAsOf(Status.ACTIVE, 9), OfferAsOf(Status.DELETED, 9), OfferAsOf()])
def test_covering_activation_is_returned_whatever_the_state_of_the_offer(offer: OfferAsOf) -> None:
    earlier = activation_at(NOW - timedelta(days=30), 45)
    assert when(activations=[earlier], offer=offer) == earlier


def test_late_repeat_returns_the_earlier_activation() -> None:
    """The first report was in time; the delay of a repeat does not matter."""
    earlier = activation_at(NOW - timedelta(days=40))
    assert when(NOW - timedelta(days=40), [earlier]) == earlier


def test_activation_covers_its_start_but_not_its_end() -> None:
    begins, ended = activation_at(NOW, 30), activation_at(NOW - timedelta(days=30), 30)
    assert when(activations=[begins]) == begins
    assert isinstance(when(activations=[ended]), OfferActivated)
    assert when(NOW - INSTANT, [ended]) == ended


def test_latest_of_several_activations_covers_a_time() -> None:
    one, other = activation_at(NOW - timedelta(days=3)), activation_at(NOW - timedelta(days=1))
    for activations in ([one, other], [other, one]):
        assert when(activations=activations) == other
        assert when(NOW - timedelta(days=2), activations) == one


times = st.integers(-60 * 86_400_000_000, 60 * 86_400_000_000).map(lambda n: NOW + n * INSTANT)


@given(times, st.integers(30, 45), st.booleans())
def test_window_is_open_exactly_from_its_start_to_its_end(at: datetime, days: int, is_active: bool) -> None:
    window = redemption_window(NOW, days)
    state = state_at(window, at, is_active=is_active)
    assert (state in {WindowState.OPEN, WindowState.WINDING_DOWN}) is (NOW <= at < NOW + timedelta(days=days))
    assert (state is WindowState.EXPIRED) is (at >= NOW + timedelta(days=days))
    if state in {WindowState.OPEN, WindowState.WINDING_DOWN}:
        assert (state is WindowState.OPEN) is is_active
