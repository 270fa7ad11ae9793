"""Given what a customer has activated and how the offer was, when an activation is reported, then it is owed, or not."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.events import OfferActivated
from domain.redemption.activation import (
    CLOCK_TOLERANCE,
    MAX_REPORT_DELAY,
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
ACTIVE = OfferAsOf(Status.ACTIVE, 3)
OFFER = KEY.offer_uid


def when(
    activated_at: datetime | None = None,
    made: Sequence[Activation] = (),
    then: OfferAsOf = ACTIVE,
    present: Status = Status.ACTIVE,
    days: int = 45,
) -> Activation | OfferActivated:
    return activate(Activate("C-1", OFFER, activated_at), made, then, present, days, NOW)


def made_at(activated_at: datetime, days: int = 45) -> Activation:
    event = OfferActivated(
        customer_id="C-1",
        offer_uid=str(OFFER),
        offer_version=1,
        activated_at=to_microseconds(activated_at),
        redemption_window_days=days,
        redeemable_until=to_microseconds(activated_at + timedelta(days=days)),
    )
    return activation_of(uuid4(), event)


def test_an_activation_fixes_the_version_the_days_and_the_end() -> None:
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
def test_what_was_not_active_then_can_not_be_activated(status: Status) -> None:
    with pytest.raises(OfferNotActivatable):
        when(then=OfferAsOf(status, 3))


@pytest.mark.parametrize("present", [Status.PAUSED, Status.DELETED])
def test_an_offer_that_has_gone_since_is_owed_all_the_same_and_told_as_late(present: Status) -> None:
    event = when(NOW - timedelta(days=1), present=present)
    assert isinstance(event, OfferActivated)
    assert event.late


def test_a_report_is_14_days_late_at_most() -> None:
    assert isinstance(when(NOW - MAX_REPORT_DELAY), OfferActivated)
    with pytest.raises(OfferNotActivatable, match="14 days"):
        when(NOW - MAX_REPORT_DELAY - INSTANT)


def test_clocks_may_differ_by_five_minutes() -> None:
    assert isinstance(when(NOW + CLOCK_TOLERANCE), OfferActivated)
    with pytest.raises(TimeInFuture):
        when(NOW + CLOCK_TOLERANCE + INSTANT)


@pytest.mark.parametrize("then", [OfferAsOf(Status.ACTIVE, 9), OfferAsOf(Status.DELETED, 9), OfferAsOf()])
def test_what_an_earlier_activation_covers_is_that_one_whatever_has_become_of_the_offer(then: OfferAsOf) -> None:
    earlier = made_at(NOW - timedelta(days=30), 45)
    assert when(made=[earlier], then=then) == earlier


def test_a_repeat_long_after_is_still_the_earlier_activation() -> None:
    """It was reported in time once: that it is told again says nothing new."""
    earlier = made_at(NOW - timedelta(days=40))
    assert when(NOW - timedelta(days=40), [earlier]) == earlier


def test_a_window_covers_its_first_instant_and_not_its_last() -> None:
    begins, ended = made_at(NOW, 30), made_at(NOW - timedelta(days=30), 30)
    assert when(made=[begins]) == begins
    assert isinstance(when(made=[ended]), OfferActivated)
    assert when(NOW - INSTANT, [ended]) == ended


def test_of_several_windows_the_latest_one_covers() -> None:
    one, other = made_at(NOW - timedelta(days=3)), made_at(NOW - timedelta(days=1))
    for made in ([one, other], [other, one]):
        assert when(made=made) == other
        assert when(NOW - timedelta(days=2), made) == one


moments = st.integers(-60 * 86_400_000_000, 60 * 86_400_000_000).map(lambda n: NOW + n * INSTANT)


@given(moments, st.integers(30, 45), st.booleans())
def test_a_window_is_honoured_exactly_from_its_begin_to_its_end(at: datetime, days: int, is_active: bool) -> None:  # noqa: FBT001
    window = redemption_window(NOW, days)
    state = state_at(window, at, is_active=is_active)
    assert (state in {WindowState.OPEN, WindowState.WINDING_DOWN}) is (NOW <= at < NOW + timedelta(days=days))
    assert (state is WindowState.EXPIRED) is (at >= NOW + timedelta(days=days))
    if state in {WindowState.OPEN, WindowState.WINDING_DOWN}:
        assert (state is WindowState.OPEN) is is_active
