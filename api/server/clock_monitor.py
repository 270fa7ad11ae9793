"""Watches the ledger's clock: it reports a clock that jumps, and one that is behind the newest commit.

Recorded times only grow, so a commit that was stored while the clock was ahead keeps its time. The times of callers follow
the clock again at once. An operator must learn of both: neither is visible in a single reply.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from enum import StrEnum
from threading import Lock

from msgspec import Struct

from api.server.worker_threads import WorkerThreads
from domain.ledgers.ledger import OfferLedger, StorageError
from domain.store.commit import current_head
from domain.store.cursor import Cursor
from domain.values import Clock, to_microseconds

TOLERANCE_SECONDS = 60
CHECK_SECONDS = 5.0
MAX_READING_SECONDS = 1.0
JUMP_REPORT_SECONDS = 15 * 60.0
"""A jump is reported for this long. After that, the new time counts as right: it may be a correction."""
MICROSECONDS = 1_000_000

BEHIND = "the clock is %d seconds behind the newest commit: recorded times advance by a microsecond until it has passed"
NOT_BEHIND = "the clock is no longer behind the newest commit"
JUMPED = "%s jumped by %+d seconds against the monotonic clock: check the time service of its host"
JUMP_REVERTED = "%s has returned from its jump"
JUMP_ACCEPTED = "the jump of %s is no longer reported: the new time has lasted"
LEDGER_CLOCK, HOST_CLOCK = "the clock", "the clock of this server"
"""The ledger's clock decides now and recorded times. On PostgreSQL it is that of the database, and the server's own clock
decides when tokens expire."""

logger = logging.getLogger("offer_ledger")


class ClockState(StrEnum):
    OK = "ok"
    BEHIND = "behind-newest-commit"
    JUMPED = "jumped"


class ClockReport(Struct, frozen=True):
    """`seconds`: how far the clock is behind the newest commit, or the size of the jump (negative: back); 0 if `ok`."""

    state: ClockState = ClockState.OK
    seconds: int = 0


class Reading(Struct, frozen=True):
    """The ledger's clock and the monotonic clock at the same moment, and the recorded time of the newest commit."""

    clock: datetime
    monotonic: float
    newest: datetime | None

    @property
    def offset(self) -> float:
        """The seconds between the two clocks. It changes only if the ledger's clock is set."""
        return to_microseconds(self.clock) / MICROSECONDS - self.monotonic

    @property
    def seconds_behind(self) -> int:
        """The seconds by which the clock is behind the newest commit, if that is more than the tolerance; else 0."""
        seconds = int((self.newest - self.clock).total_seconds()) if self.newest else 0
        return seconds if seconds > TOLERANCE_SECONDS else 0


class ClockWatch(Struct, frozen=True):
    """Result of the readings so far. `offset` is that of the time that counts as right."""

    offset: float
    behind: int = 0
    jump: int = 0
    jumped_at: float = 0.0
    """Monotonic time of the jump."""

    @property
    def report(self) -> ClockReport:
        if self.behind:
            return ClockReport(ClockState.BEHIND, self.behind)
        return ClockReport(ClockState.JUMPED, self.jump) if self.jump else ClockReport()


def observe(watch: ClockWatch, reading: Reading) -> ClockWatch:
    """Returns the watch after a reading."""
    offset, jumped_at = watch.offset, watch.jumped_at
    jump = round(reading.offset - offset)
    if abs(jump) <= TOLERANCE_SECONDS:
        jump = 0
    elif not watch.jump:
        jumped_at = reading.monotonic
    elif reading.monotonic - jumped_at > JUMP_REPORT_SECONDS:
        offset, jump = reading.offset, 0
    return ClockWatch(offset, reading.seconds_behind, jump, jumped_at)


class ClockMonitor:
    """Belongs to a server process. Any thread may use it. Each state is logged when it begins and when it ends."""

    def __init__(self, ledger: OfferLedger, clock: Clock, monotonic: Callable[[], float] = time.monotonic) -> None:
        """`clock`: that of this process. It may differ from the ledger's."""
        self._ledger, self._clock, self._monotonic = ledger, clock, monotonic
        self._watches: dict[str, ClockWatch] = {}
        self._lock = Lock()

    def check(self, tx: Cursor) -> ClockReport:
        """Reads the clocks in a transaction, logs what has changed, and returns the state of the clock."""
        newest = current_head(tx).recorded_at
        began = self._monotonic()
        clock = self._ledger.now(tx)
        ended = self._monotonic()
        with self._lock:
            # A process that was suspended between the two clocks learns nothing about a jump.
            if not self._watches or ended - began < MAX_READING_SECONDS:
                self._observe(LEDGER_CLOCK, Reading(clock, ended, newest))
                if self._ledger.has_database_clock:
                    self._observe(HOST_CLOCK, Reading(self._clock(), self._monotonic(), None))
            reports = [watch.report for watch in self._watches.values()]
        return next((report for report in reports if report.state is not ClockState.OK), reports[0])

    def _observe(self, name: str, reading: Reading) -> None:
        before = self._watches.get(name) or ClockWatch(reading.offset)
        self._watches[name] = observe(before, reading)
        _log_changes(name, before, self._watches[name])

    async def run(self, threads: WorkerThreads) -> None:
        """Checks the clock until it is cancelled."""
        while True:
            # While the database is away, other parts of the server report it.
            with suppress(StorageError):
                await threads.run_read(self._check_once)
            await asyncio.sleep(CHECK_SECONDS)

    def _check_once(self) -> None:
        with self._ledger.read() as tx:
            self.check(tx)


def _log_changes(name: str, before: ClockWatch, after: ClockWatch) -> None:
    if after.behind and not before.behind:
        logger.warning(BEHIND, after.behind)
    if before.behind and not after.behind:
        logger.warning(NOT_BEHIND)
    if after.jump and not before.jump:
        logger.warning(JUMPED, name, after.jump)
    if before.jump and not after.jump:
        logger.warning(JUMP_REVERTED if after.offset == before.offset else JUMP_ACCEPTED, name)
