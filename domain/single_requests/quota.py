"""How many single requests may a partner make in a UTC day?

A take-down has a small reserve beyond the quota: it is not refused because too much was changed before.
"""

import math
from datetime import datetime, timedelta
from typing import Literal

from msgspec import Struct

from domain.refusals import DailyQuotaExceeded

AUTO_AT_LEAST = 1000
AUTO_PERCENT = 120
RESERVE_AT_LEAST = 10
RESERVE_PERCENT = 5


class Quota(Struct, frozen=True):
    """A day's quota and what is used of it; a limit of 0 is none."""

    limit: int
    used: int

    @property
    def remaining(self) -> int | None:
        """Without the reserve; None if there is no limit."""
        return max(self.limit - self.used, 0) if self.limit else None


def daily_limit(setting: int | Literal["auto"], offers: int) -> int:
    """`offers`: how many the partner has brought. 0 is no limit."""
    return max(AUTO_AT_LEAST, offers * AUTO_PERCENT // 100) if setting == "auto" else setting


def require_quota(quota: Quota, now: datetime, *, takes_down: bool) -> None:
    """Raises DailyQuotaExceeded."""
    reserve = max(RESERVE_AT_LEAST, math.ceil(quota.limit * RESERVE_PERCENT / 100)) if takes_down else 0
    if quota.limit and quota.used >= quota.limit + reserve:
        raise DailyQuotaExceeded(quota.limit, seconds_to_next_day(now))


def day_of(now: datetime) -> int:
    """Its number, counted from 1970-01-01."""
    return now.toordinal() - datetime(1970, 1, 1, tzinfo=now.tzinfo).toordinal()


def seconds_to_next_day(now: datetime) -> int:
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
    return math.ceil((midnight - now).total_seconds())


class PartnerTerms(Struct, frozen=True):
    """What limits a partner's single requests, and how many offers it has brought on their channel."""

    rps: int
    daily_quota: int | Literal["auto"]
    offers: int


def quota_of(terms: PartnerTerms, used: int) -> Quota:
    return Quota(daily_limit(terms.daily_quota, terms.offers), used)
