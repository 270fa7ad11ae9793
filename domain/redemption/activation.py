"""Activations of offers by customers: state and decisions.

An activation fixes the offer version and the redemption window. Later changes by the partner do not affect it.
(Contract, section 5.)
"""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

from msgspec import Struct

from domain.events import OfferActivated
from domain.redemption.hold import Hold
from domain.redemption.window import RedemptionWindow, redemption_window
from domain.refusals import OfferNotActivatable, OfferOnHold, TimeInFuture
from domain.values import Status, from_microseconds, to_microseconds

MAX_REPORT_DELAY = timedelta(days=14)
"""Maximum time between an activation and its report."""
CLOCK_TOLERANCE = timedelta(minutes=5)
"""Maximum accepted difference between a caller's clock and the ledger's."""


class Activate(Struct, frozen=True):
    """Command: a customer activated an offer. Without `activated_at`, the activation happens now."""

    customer_id: str
    offer_uid: UUID
    activated_at: datetime | None = None


class OfferAsOf(Struct, frozen=True):
    """An offer's status, version and newest hold at some time. The hold may have ended before that time."""

    status: Status = Status.ABSENT
    version: int = 0
    hold: Hold | None = None


class Activation(Struct, frozen=True):
    """A customer's activation of an offer: the fixed terms under which purchases are eligible for the reward."""

    activation_id: UUID
    customer_id: str
    offer_uid: UUID
    offer_version: int
    redemption_window_days: int
    window: RedemptionWindow
    late: bool


class WindowState(StrEnum):
    """State of a redemption window at some time."""

    OPEN = "open"
    WINDING_DOWN = "winding_down"
    EXPIRED = "expired"


def state_at(window: RedemptionWindow, time: datetime, *, is_active: bool) -> WindowState | None:
    """Returns the window's state at a time; None before the window begins.

    `is_active`: whether the offer was active at that time."""
    if time < window.activated_at:
        return None
    if not window.contains(time):
        return WindowState.EXPIRED
    return WindowState.OPEN if is_active else WindowState.WINDING_DOWN


def activation_of(activation_id: UUID, event: OfferActivated) -> Activation:
    activated_at = from_microseconds(event.activated_at)
    return Activation(
        activation_id,
        event.customer_id,
        UUID(event.offer_uid),
        event.offer_version,
        event.redemption_window_days,
        RedemptionWindow(activated_at, from_microseconds(event.redeemable_until)),
        event.late,
    )


def find_covering(activations: Iterable[Activation], time: datetime) -> Activation | None:
    """Returns the activation whose window contains a time; if there are several, the latest one.

    A later report can't replace the result: an activation at a time that a window covers is never a new one."""
    covering = (activation for activation in activations if activation.window.contains(time))
    return max(covering, key=lambda activation: activation.window.activated_at, default=None)


# Decisions


def activation_time(request: Activate, now: datetime) -> datetime:
    """Returns the requested activation time, or `now` if the request has none. Raises TimeInFuture."""
    activated_at = request.activated_at or now
    if activated_at > now + CLOCK_TOLERANCE:
        raise TimeInFuture("activatedAt")
    return activated_at


def activate(
    request: Activate,
    activations: Sequence[Activation],
    offer: OfferAsOf,
    current_status: Status,
    days: int,
    now: datetime,
) -> Activation | OfferActivated:
    """Returns the existing activation that covers the activation time, or the event of a new one.

    `activations`: the customer's activations of the offer; `offer`: the offer at the activation time; `days`: the
    redemption window at that time, by the flight in force or the partner's setting.
    Raises TimeInFuture, OfferNotActivatable, OfferOnHold, WindowDaysOutOfBounds."""
    activated_at = activation_time(request, now)
    if earlier := find_covering(activations, activated_at):
        return earlier
    if offer.status is not Status.ACTIVE:
        raise OfferNotActivatable("The offer was not active at that time")
    if now - activated_at > MAX_REPORT_DELAY:
        raise OfferNotActivatable(f"An activation can be reported at most {MAX_REPORT_DELAY.days} days late")
    if offer.hold and offer.hold.is_in_force(activated_at):
        raise OfferOnHold
    window = redemption_window(activated_at, days)
    return OfferActivated(
        customer_id=request.customer_id,
        offer_uid=str(request.offer_uid),
        offer_version=offer.version,
        activated_at=to_microseconds(activated_at),
        redemption_window_days=days,
        redeemable_until=to_microseconds(window.redeemable_until),
        late=current_status is not Status.ACTIVE,
    )
