"""The monitor of the ledger's clock: what it observes, what it logs, and what `/readyz` reports."""

import asyncio
import logging
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from api.server import clock_monitor
from api.server.clock_monitor import (
    JUMP_REPORT_SECONDS,
    TOLERANCE_SECONDS,
    ClockMonitor,
    ClockReport,
    ClockState,
    ClockWatch,
    Reading,
    observe,
)
from api.server.worker_threads import WorkerThreads
from api.service import Service
from api.settings import Settings
from api.wiring import open_service, utc_now
from domain.access.partner import SetPartner
from domain.ledgers.ledger import OfferLedger
from domain.store.commit import current_head
from tests.support.engine import only_postgres
from tests.support.harness import OPERATOR, Call, Clock
from tests.support.waiting import PATIENCE_SECONDS, wait_until

START = datetime(2026, 11, 22, 12, 30, tzinfo=UTC)
OK = ClockReport()


def reading(clock: float = 0, monotonic: float = 0, newest: float | None = None) -> Reading:
    """Returns a reading; all times are in seconds since the start."""
    newest_time = None if newest is None else START + timedelta(seconds=newest)
    return Reading(START + timedelta(seconds=clock), monotonic, newest_time)


def reports(*readings: Reading) -> list[ClockReport]:
    """Returns the report after each reading, from a first one at the start."""
    watch, found = ClockWatch(reading().offset), []
    for each in readings:
        watch = observe(watch, each)
        found.append(watch.report)
    return found


def behind(seconds: int) -> ClockReport:
    return ClockReport(ClockState.BEHIND, seconds)


def jumped(seconds: int) -> ClockReport:
    return ClockReport(ClockState.JUMPED, seconds)


# Observations


def test_clock_behind_the_newest_commit_is_reported_beyond_the_tolerance() -> None:
    found = reports(reading(newest=None), reading(newest=TOLERANCE_SECONDS), reading(newest=7200))
    assert found == [OK, OK, behind(7200)]


def test_clock_that_jumped_is_reported_until_it_returns() -> None:
    edge = TOLERANCE_SECONDS
    found = reports(reading(edge), reading(edge + 1), reading(5 + 7200, 5), reading(10, 10), reading(15 - 300, 15))
    assert found == [OK, jumped(edge + 1), jumped(7200), OK, jumped(-300)]


def test_time_after_a_lasting_jump_counts_as_right() -> None:
    later, last = JUMP_REPORT_SECONDS + 1, JUMP_REPORT_SECONDS + 2
    found = reports(reading(7200), reading(7200 + later, later), reading(7200 + last, last), reading(last, last))
    assert found == [jumped(7200), OK, OK, jumped(-7200)]


def test_clock_behind_the_newest_commit_is_reported_before_a_jump() -> None:
    assert reports(reading(-7200, newest=0)) == [behind(7200)]


# The log


@pytest.fixture
def monitor(ledger: OfferLedger, clock: Clock) -> ClockMonitor:
    """A monitor with a monotonic clock that does not advance, like the clock of the test."""
    return ClockMonitor(ledger, clock, monotonic=lambda: 0.0)


def check(monitor: ClockMonitor, ledger: OfferLedger, times: int = 2) -> ClockReport:
    """Checks the clock several times, and returns the last report."""
    report = OK
    for _ in range(times):
        with ledger.read() as tx:
            report = monitor.check(tx)
    return report


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    with caplog.at_level(logging.WARNING, "offer_ledger"):
        yield caplog


def test_beginning_and_end_of_a_jump_are_logged_once(
    monitor: ClockMonitor, ledger: OfferLedger, clock: Clock, log: pytest.LogCaptureFixture
) -> None:
    assert check(monitor, ledger) == OK
    clock.move(hours=2)
    assert check(monitor, ledger) == jumped(7200)
    ledger.handle(SetPartner("harbor"), OPERATOR)
    clock.move(hours=-2)
    assert check(monitor, ledger) == behind(7200)
    clock.move(hours=2)
    assert check(monitor, ledger) == jumped(7200)
    assert log.messages == [
        "the clock jumped by +7200 seconds against the monotonic clock: check the time service of its host",
        "the clock is 7200 seconds behind the newest commit: recorded times advance by a microsecond until it has passed",
        "the clock has returned from its jump",
        "the clock is no longer behind the newest commit",
        "the clock jumped by +7200 seconds against the monotonic clock: check the time service of its host",
    ]


def test_clock_is_checked_without_requests(
    monitor: ClockMonitor,
    ledger: OfferLedger,
    clock: Clock,
    log: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(clock_monitor, "CHECK_SECONDS", 0.01)
    assert check(monitor, ledger) == OK
    clock.move(hours=2)

    async def run_until_logged() -> None:
        task = asyncio.create_task(monitor.run(WorkerThreads()))
        await asyncio.to_thread(wait_until, lambda: "jumped by +7200" in log.text)
        task.cancel()

    asyncio.run(run_until_logged())
    assert len(log.messages) == 1


# Servers


def test_readyz_is_ready_and_reports_the_clock(call: Call, service: Service, clock: Clock) -> None:
    probe = call(None)
    assert probe.get("/readyz").json()["clock"] == {"state": "ok", "seconds": 0}
    clock.move(hours=2)
    jump = probe.get("/readyz").json()["clock"]
    # The monotonic clock goes on, unlike the clock of the test.
    assert jump["state"] == "jumped"
    assert 7200 - PATIENCE_SECONDS < jump["seconds"] <= 7200
    service.ledger.handle(SetPartner("harbor"), OPERATOR)
    clock.move(hours=-2)
    reply = probe.get("/readyz")
    assert (reply.status_code, reply.json()["status"]) == (200, "ready")
    assert reply.json()["clock"] == {"state": "behind-newest-commit", "seconds": 7200}


def test_clock_of_the_database_is_now_and_may_be_behind(settings: Settings) -> None:
    with open_service(settings, lambda: utc_now() + timedelta(hours=2)) as ahead:
        ahead.ledger.handle(SetPartner("harbor"), OPERATOR)
    with open_service(settings) as service:
        ledger = service.ledger
        with ledger.read() as tx:
            newest = current_head(tx).recorded_at
            assert newest
            assert ledger.now(tx) < newest - timedelta(hours=1)
        assert check(ClockMonitor(ledger, service.clock), ledger).state is ClockState.BEHIND
        ledger.handle(SetPartner("tidepool"), OPERATOR)
        with ledger.read() as tx:
            assert current_head(tx).recorded_at == newest + timedelta(microseconds=1)


@only_postgres
def test_own_clock_of_a_server_is_watched_beside_the_database(
    settings: Settings, clock: Clock, log: pytest.LogCaptureFixture
) -> None:
    with open_service(settings) as service:
        monitor = ClockMonitor(service.ledger, clock)
        assert check(monitor, service.ledger) == OK
        clock.move(hours=2)
        assert check(monitor, service.ledger).state is ClockState.JUMPED
        clock.move(hours=-2)
        assert check(monitor, service.ledger) == OK
    assert [message.partition(" by ")[0] for message in log.messages] == [
        "the clock of this server jumped",
        "the clock of this server has returned from its jump",
    ]
