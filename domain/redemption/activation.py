"""May a customer activate this offer, and on which terms?

An activation fixes the version of the offer and the redemption window that it was made on; whatever its partner does
later makes no difference. (Contract, section 5.)
"""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

from msgspec import Struct

from domain.events import OfferActivated
from domain.redemption.window import RedemptionWindow, redemption_window
from domain.refusals import OfferNotActivatable, TimeInFuture
from domain.values import Status, from_microseconds, to_microseconds

MAX_REPORT_DELAY = timedelta(days=14)
"""How long after an activation it may still be reported."""
CLOCK_TOLERANCE = timedelta(minutes=5)
"""By how much the clocks of two machines may."""


class Activate(Struct, frozen=True):
    """A customer has activated an offer; without a time: at this moment."""

    customer_id: str
    offer_uid: UUID
    activated_at: datetime | None = None


class OfferAsOf(Struct, frozen=True):
    """An offer as it was at a moment."""

    status: Status = Status.ABSENT
    version: int = 0


class Activation(Struct, frozen=True):
    """What a customer is owed, as it was fixed."""

    activation_id: UUID
    customer_id: str
    offer_uid: UUID
    offer_version: int
    redemption_window_days: int
    window: RedemptionWindow
    late: bool


class WindowState(StrEnum):
    """How a redemption window stands at a moment."""

    OPEN = "open"
    WINDING_DOWN = "winding_down"
    EXPIRED = "expired"


def state_at(window: RedemptionWindow, moment: datetime, *, is_active: bool) -> WindowState | None:
    """`is_active`: the offer, at that moment. None before the window begins."""
    if moment < window.activated_at:
        return None
    if not window.contains(moment):
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


def find_covering(made: Iterable[Activation], moment: datetime) -> Activation | None:
    """The one whose window holds the moment; of several, the one that was activated last.

    What is reported afterwards can't take its place: a moment in its window is never activated again."""
    found = (activation for activation in made if activation.window.contains(moment))
    return max(found, key=lambda activation: activation.window.activated_at, default=None)


# Decisions


def activation_time(request: Activate, now: datetime) -> datetime:
    """When it was activated: without a time, now. Raises TimeAhead."""
    activated_at = request.activated_at or now
    if activated_at > now + CLOCK_TOLERANCE:
        raise TimeInFuture("activatedAt")
    return activated_at


def activate(
    request: Activate, made: Sequence[Activation], then: OfferAsOf, present: Status, days: int, now: datetime
) -> Activation | OfferActivated:
    """The activation that covers the moment already, or the event of a new one.

    `made`: the customer's activations of the offer; `then`: the offer at the moment; `present`: its status now; `days`: as the
    flight or the partner's setting at the moment says. Raises TimeAhead, OfferNotActivatable, WindowDaysOutOfBounds."""
    activated_at = activation_time(request, now)
    if earlier := find_covering(made, activated_at):
        return earlier
    if then.status is not Status.ACTIVE:
        raise OfferNotActivatable("was not active at that time")
    if now - activated_at > MAX_REPORT_DELAY:
        raise OfferNotActivatable(f"may be reported {MAX_REPORT_DELAY.days} days late at most")
    window = redemption_window(activated_at, days)
    return OfferActivated(
        customer_id=request.customer_id,
        offer_uid=str(request.offer_uid),
        offer_version=then.version,
        activated_at=to_microseconds(activated_at),
        redemption_window_days=days,
        redeemable_until=to_microseconds(window.redeemable_until),
        late=present is not Status.ACTIVE,
    )
