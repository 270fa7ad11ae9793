"""Redemption windows: how long purchases are eligible for the reward of an activated offer.

A window has 30 to 45 exact days and is half-open. (Contract, section 5.)
"""

from datetime import datetime, timedelta

from msgspec import Struct

from domain.refusals import WindowDaysOutOfBounds

MIN_DAYS = 30
MAX_DAYS = 45


class RedemptionWindow(Struct, frozen=True):
    """The interval from `activated_at` (included) to `redeemable_until` (excluded)."""

    activated_at: datetime
    redeemable_until: datetime

    def contains(self, time: datetime) -> bool:
        return self.activated_at <= time < self.redeemable_until


def redemption_window(activated_at: datetime, days: int) -> RedemptionWindow:
    """Raises WindowDaysOutOfBounds."""
    require_days(days)
    return RedemptionWindow(activated_at, activated_at + timedelta(days=days))


def require_days(days: int) -> None:
    """Raises WindowDaysOutOfBounds."""
    if not MIN_DAYS <= days <= MAX_DAYS:
        raise WindowDaysOutOfBounds(MIN_DAYS, MAX_DAYS)
