"""Daily quota of a partner's single requests, per UTC day.

Deletions have a small reserve beyond the quota, so that earlier changes do not prevent them.
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
    """A day's quota and the number of requests used. A limit of 0 means no limit."""

    limit: int
    used: int

    @property
    def remaining(self) -> int | None:
        """Requests left, without the reserve; None if there is no limit."""
        return max(self.limit - self.used, 0) if self.limit else None


def daily_limit(setting: int | Literal["auto"], offers: int) -> int:
    """Returns the limit that a setting means for a partner with this number of offers; 0 means no limit."""
    return max(AUTO_AT_LEAST, offers * AUTO_PERCENT // 100) if setting == "auto" else setting


def require_quota(quota: Quota, now: datetime, *, is_deletion: bool) -> None:
    """Raises DailyQuotaExceeded."""
    reserve = max(RESERVE_AT_LEAST, math.ceil(quota.limit * RESERVE_PERCENT / 100)) if is_deletion else 0
    if quota.limit and quota.used >= quota.limit + reserve:
        raise DailyQuotaExceeded(quota.limit, seconds_to_next_day(now))


def day_of(now: datetime) -> int:
    """Returns the number of days since 1970-01-01."""
    return now.toordinal() - datetime(1970, 1, 1, tzinfo=now.tzinfo).toordinal()


def seconds_to_next_day(now: datetime) -> int:
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
    return math.ceil((midnight - now).total_seconds())


class PartnerTerms(Struct, frozen=True):
    """Limits of a partner's single requests, and the number of its offers on the merchant channel."""

    rps: int
    daily_quota: int | Literal["auto"]
    offers: int


def quota_of(terms: PartnerTerms, used: int) -> Quota:
    return Quota(daily_limit(terms.daily_quota, terms.offers), used)
