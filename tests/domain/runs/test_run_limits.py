"""Tests of run limits at the edges of calendar windows."""

from datetime import UTC, datetime

import pytest

from domain.refusals import RunLimitReached
from domain.runs.run_limits import limit_window, require_slot
from domain.values import Operation

SYNCHRONIZE, INSERT = Operation.SYNCHRONIZE, Operation.INSERT


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("operation", "now", "start", "end"),
    [
        (SYNCHRONIZE, "2026-11-22T00:00:00", "2026-11-22T00:00:00", "2026-11-23T00:00:00"),
        (SYNCHRONIZE, "2026-11-22T23:59:59.999999", "2026-11-22T00:00:00", "2026-11-23T00:00:00"),
        (INSERT, "2026-11-22T13:00:00", "2026-11-22T13:00:00", "2026-11-22T14:00:00"),
        (INSERT, "2026-11-22T13:59:59.999999", "2026-11-22T13:00:00", "2026-11-22T14:00:00"),
    ],
)
def test_window_is_the_utc_day_or_hour(operation: Operation, now: str, start: str, end: str) -> None:
    assert limit_window(operation, at(now)) == (at(start), at(end))


@pytest.mark.parametrize(
    ("operation", "now", "seconds"),
    [
        (SYNCHRONIZE, "2026-11-22T00:00:00", 86_400),
        (SYNCHRONIZE, "2026-11-22T23:59:59.999999", 1),
        (SYNCHRONIZE, "2026-12-31T12:00:00", 43_200),
        (INSERT, "2026-11-22T13:00:00", 3_600),
        (INSERT, "2026-11-22T23:59:59.5", 1),
    ],
)
def test_refusal_has_the_seconds_to_the_next_window(operation: Operation, now: str, seconds: int) -> None:
    with pytest.raises(RunLimitReached) as refused:
        require_slot(operation, limit=1, used=1, now=at(now))
    assert refused.value.seconds_to_next_window == seconds


@pytest.mark.parametrize(("limit", "used"), [(1, 0), (3, 2), (0, 1_000)])
def test_run_can_start_below_the_limit_or_without_one(limit: int, used: int) -> None:
    require_slot(SYNCHRONIZE, limit, used, at("2026-11-22T12:00:00"))
