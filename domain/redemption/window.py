"""For how long is a customer owed the reward of an activated offer? (Contract: 30 to 45 exact days, half-open.)"""

from datetime import datetime, timedelta

from msgspec import Struct

from domain.refusals import WindowDaysOutOfBounds

MIN_DAYS = 30
MAX_DAYS = 45


class RedemptionWindow(Struct, frozen=True):
    """From its first instant on, and no longer at its last one."""

    activated_at: datetime
    redeemable_until: datetime

    def contains(self, moment: datetime) -> bool:
        return self.activated_at <= moment < self.redeemable_until


def redemption_window(activated_at: datetime, days: int) -> RedemptionWindow:
    """Raises WindowDaysOutOfBounds."""
    require_days(days)
    return RedemptionWindow(activated_at, activated_at + timedelta(days=days))


def require_days(days: int) -> None:
    """Raises WindowDaysOutOfBounds."""
    if not MIN_DAYS <= days <= MAX_DAYS:
        raise WindowDaysOutOfBounds(MIN_DAYS, MAX_DAYS)
