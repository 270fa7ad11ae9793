"""Limits on the number of runs that a partner can start.

The limits apply to calendar windows: Synchronize counts per UTC day, Insert per UTC clock hour.
"""

import math
from datetime import datetime, timedelta

from domain.refusals import RunLimitReached
from domain.values import Operation


def window_start(operation: Operation, now: datetime) -> datetime:
    """Returns the start of the window that contains `now` (UTC)."""
    hour = now.replace(minute=0, second=0, microsecond=0)
    return hour.replace(hour=0) if operation is Operation.SYNCHRONIZE else hour


def require_slot(operation: Operation, limit: int, used: int, now: datetime) -> None:
    """Raises RunLimitReached if the runs `used` in the current window reach the limit; 0 means no limit."""
    if limit and used >= limit:
        unit, length = _WINDOWS[operation]
        wait = window_start(operation, now) + length - now
        raise RunLimitReached(operation, limit, unit, math.ceil(wait.total_seconds()))


_WINDOWS = {
    Operation.SYNCHRONIZE: ("day", timedelta(days=1)),
    Operation.INSERT: ("hour", timedelta(hours=1)),
}
