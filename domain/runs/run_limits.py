"""Limits on the number of runs that a partner can start.

The limits apply to calendar windows: Synchronize counts per UTC day, Insert per UTC clock hour.
"""

import math
from datetime import datetime, timedelta

from domain.refusals import RunLimitReached
from domain.values import Operation


def limit_window(operation: Operation, now: datetime) -> tuple[datetime, datetime]:
    """Returns the start and the end of the window that contains `now` (UTC)."""
    hour = now.replace(minute=0, second=0, microsecond=0)
    start = hour.replace(hour=0) if operation is Operation.SYNCHRONIZE else hour
    return start, start + _WINDOWS[operation][1]


def require_slot(operation: Operation, limit: int, used: int, now: datetime) -> None:
    """Raises RunLimitReached if the runs `used` in the current window reach the limit; 0 means no limit."""
    if limit and used >= limit:
        wait = limit_window(operation, now)[1] - now
        raise RunLimitReached(operation, limit, _WINDOWS[operation][0], math.ceil(wait.total_seconds()))


_WINDOWS = {
    Operation.SYNCHRONIZE: ("day", timedelta(days=1)),
    Operation.INSERT: ("hour", timedelta(hours=1)),
}
